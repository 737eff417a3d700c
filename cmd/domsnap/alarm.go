package main

import (
	"fmt"
	"log/syslog"
)

// alarm tells the system's log that a guest may be held still and nobody is left who would let it go.
func alarm(domain string, cause error) error {
	return tellLog(syslog.LOG_CRIT, guardianName, fmt.Sprintf("domain %s may be frozen or paused: %v; let it go by hand: virsh domfsthaw %s; virsh resume %s",
		domain, cause, domain, domain))
}
