package methodtest

import (
	"strings"

	"github.com/domsnap/domsnap/methods"
)

// The checks of what comes from outside.
const (
	HostileNames   Check = "HostileNames"
	ErrorsAreTyped Check = "ErrorsAreTyped"
)

func hostileChecks() []check {
	return []check{
		{HostileNames, always, hostileNames},
		{ErrorsAreTyped, always, errorsAreTyped},
	}
}

// hostile are names that mean something else to a shell, a tool, a path or a storage.
func hostile() []string {
	return []string{
		"", "-rf", "--force", "a/b", "..", "../../etc/passwd", "/abs", "two words", "new\nline", "nul\x00byte", "tab\t",
		"$(id)", "`id`", "a;b", "a@b", "a%b", "Größe", "\u202eabcd", "\xff\xfe", "UPPER", strings.Repeat("a", 300),
	}
}

func hostileNames(b *bench) {
	s := b.disk("vda")
	for _, name := range hostile() {
		id, target := s.request("id"), s.request("target")
		id.ID, target.Disk.Target = name, name
		for _, req := range []methods.PlanRequest{id, target} {
			if ref, err := b.Method.Plan(b.Context(), req); err == nil {
				b.Errorf("id %q of disk %q is planned as %s", req.ID, req.Disk.Target, ref.Name)
			}
		}
	}
	s.wantObjects()
	s.wantDisk()
}

// errorsAreTyped wants the kinds of error that callers decide on, where no other check does.
func errorsAreTyped(b *bench) {
	s := b.disk("vda")
	foreign := s.request("foreign")
	foreign.Disk.Source = methods.Source{Other: "a disk of some other kind"}
	_, err := b.Method.Plan(b.Context(), foreign)
	b.wantError("plan a disk of another kind", err, methods.ErrUnsupported)
	snap := s.take("taken")
	_, err = b.Method.Plan(b.Context(), s.request("taken"))
	b.wantError("plan a name that is taken", err, methods.ErrExists)
	b.wantError("take it again", b.Method.Take(b.Context(), snap.ref), methods.ErrExists)
	missing := s.plan("missing")
	_, err = b.Method.Stat(b.Context(), missing)
	b.wantError("stat", err, methods.ErrNotFound)
	_, err = b.Method.Open(b.Context(), missing)
	b.wantError("open", err, methods.ErrNotFound)
	req := s.revertRequest(snap)
	req.To = missing
	_, err = methods.CheckRevert(b.Context(), b.Method, req)
	b.wantError("check a revert", err, methods.ErrNotFound)
}
