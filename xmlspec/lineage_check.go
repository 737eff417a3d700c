package xmlspec

import (
	"fmt"
	"regexp"
)

const (
	lineageElement = "lineage"
	// lineageDepth is that of <lineage><layout><disk><rbd><monitor>.
	lineageDepth = 5
	// maxLineageNodes is more than there are in what Room has room for.
	maxLineageNodes = 30_000
)

var idPattern = regexp.MustCompile(`^[a-z][a-z0-9]{0,31}$`)

// check makes sure that the lineage is a tree of snapshots that can be told apart, with names that can be used.
func (l *Lineage) check() error {
	if err := l.checkLayouts(); err != nil {
		return err
	}
	if err := l.checkSnapshots(); err != nil {
		return err
	}
	for _, p := range l.Strayed {
		if err := checkTarget(p.Target); err != nil {
			return err
		}
	}
	return l.checkParents()
}

func (l *Lineage) checkLayouts() error {
	seen := map[int]bool{}
	for _, lay := range l.Layouts {
		if seen[lay.N] {
			return fmt.Errorf("layout %d is there twice", lay.N)
		}
		seen[lay.N] = true
		if err := lay.check(); err != nil {
			return fmt.Errorf("layout %d: %w", lay.N, err)
		}
	}
	return nil
}

func (l layout) check() error {
	seen := map[string]bool{}
	for _, d := range l.Disks {
		if err := checkTarget(d.Target); err != nil {
			return err
		}
		if err := checkMethod(d.Method); err != nil {
			return err
		}
		if seen[d.Target] {
			return fmt.Errorf("disk %s is there twice", d.Target)
		}
		seen[d.Target] = true
	}
	return nil
}

func (l *Lineage) checkSnapshots() error {
	ids, names := map[string]bool{}, map[string]bool{}
	for _, s := range l.Snapshots {
		switch {
		case !idPattern.MatchString(s.ID):
			return fmt.Errorf("%.64q is not the id of a snapshot", s.ID)
		case ids[s.ID]:
			return fmt.Errorf("snapshot %s is there twice", s.ID)
		case names[s.Name]:
			return fmt.Errorf("two snapshots have the name %.64q", s.Name)
		}
		ids[s.ID], names[s.Name] = true, true
	}
	return nil
}

// checkParents wants every parent before its children, as they came to be: so nothing derives from itself.
func (l *Lineage) checkParents() error {
	seen := map[string]bool{"": true}
	for _, s := range l.Snapshots {
		if !seen[s.Parent] {
			return fmt.Errorf("snapshot %s derives from %.64q, which is not before it", s.ID, s.Parent)
		}
		seen[s.ID] = true
	}
	if !seen[l.Current] {
		return fmt.Errorf("the present derives from %.64q, which is not there", l.Current)
	}
	return nil
}
