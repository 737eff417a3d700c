package recipes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const fakeDir = "DOMSNAP_FAKE_DIR"

// TestMain is also each of the programs that the recipes run, by the name that it is called by.
func TestMain(m *testing.M) {
	dir := os.Getenv(fakeDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := fake(dir, filepath.Base(os.Args[0]), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fake(dir, program string, args []string) error {
	switch program {
	case "domsnap":
		return fakeDomsnap(dir, args)
	case "nbdcopy":
		return fakeCopy(dir, args)
	default:
		return fakeBackup(dir, program, args)
	}
}

func fakeDomsnap(dir string, args []string) error {
	switch {
	case slices.Contains(args, "snapshot-info"):
		text, err := os.ReadFile(filepath.Join(dir, "info.json"))
		if err == nil {
			_, err = os.Stdout.Write(text)
		}
		return errors.Join(err, broken(dir, "snapshot-info"))
	case slices.Contains(args, "snapshot-export"):
		if err := broken(dir, "snapshot-export"); err != nil {
			return err
		}
		return serve(strings.TrimPrefix(args[slices.Index(args, "--nbd")+1], "unix:"))
	}
	_, err := fmt.Println("<domainsnapshot/>")
	return err
}

// broken: what the test says is not to work.
func broken(dir, what string) error {
	if _, err := os.Stat(filepath.Join(dir, what+".broken")); err != nil {
		return nil
	}
	return fmt.Errorf("%s is broken", what)
}

// serve answers one reader.
func serve(socket string) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer l.Close()
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte("content"))
	return errors.Join(err, conn.Close())
}

func fakeCopy(dir string, args []string) error {
	_, socket, _ := strings.Cut(args[0], "socket=")
	conn, err := net.Dial("unix", socket)
	if err == nil {
		_, err = io.Copy(os.Stdout, conn)
	}
	return errors.Join(err, broken(dir, "nbdcopy"))
}

// fakeBackup records what it was called with and what it has read, where that went well. borg has no archive yet.
func fakeBackup(dir, program string, args []string) error {
	if args[0] == "info" {
		return errors.New("there is no such archive")
	}
	dashes := slices.Index(args, "--")
	command := args[dashes+1:]
	if program == "borg" {
		command = command[1:]
	}
	content, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "stored"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	stored := record{Args: args[:len(args)-len(command)], Content: strings.TrimSpace(string(content))}
	return errors.Join(json.NewEncoder(f).Encode(stored), f.Close())
}

// record is one call of a backup program.
type record struct {
	Args    []string
	Content string
}
