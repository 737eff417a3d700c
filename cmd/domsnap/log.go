package main

import (
	"errors"
	"fmt"
	"log/syslog"
)

// tellLog tells the system's log, under a name that one can look for.
func tellLog(priority syslog.Priority, name, text string) error {
	log, err := syslog.New(priority|syslog.LOG_DAEMON, name)
	if err != nil {
		return fmt.Errorf("reach the system's log: %w", err)
	}
	_, err = log.Write([]byte(oneLine(text)))
	return errors.Join(err, log.Close())
}
