package main

import (
	"errors"
	"fmt"
	"log/syslog"
)

// alarm tells the system's log that a guest may be held still and nobody is left who would let it go.
func alarm(domain string, cause error) error {
	log, err := syslog.New(syslog.LOG_CRIT|syslog.LOG_DAEMON, guardianName)
	if err != nil {
		return fmt.Errorf("reach the system's log: %w", err)
	}
	err = log.Crit(printable(fmt.Sprintf("domain %s may be frozen or paused: %v; let it go by hand: virsh domfsthaw %s; virsh resume %s",
		domain, cause, domain, domain)))
	return errors.Join(err, log.Close())
}
