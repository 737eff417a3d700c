package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/domsnap/domsnap/methods"
)

// Prefix is what the file name of an engine begins with; the method's name follows.
const Prefix = "domsnap-method-"

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// Find looks for engines in the directories, the first one of a name wins. No directory is no engine. Those that must
// not be run are found too, with the reason; a name that is not theirs they do not get.
func Find(dirs []string, builtIn []string) ([]File, error) {
	var files []File
	taken := slices.Clone(builtIn)
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for engines: %w", err)
		}
		for _, e := range entries {
			name, ok := strings.CutPrefix(e.Name(), Prefix)
			if !ok {
				continue
			}
			f := examine(filepath.Join(dir, e.Name()), name, taken)
			taken = append(taken, f.Name)
			files = append(files, f)
		}
	}
	return files, nil
}

func examine(path, name string, taken []string) File {
	f := File{Name: name, Path: path}
	switch {
	case !namePattern.MatchString(name):
		f.Refused = fmt.Errorf("a method cannot be called %.80q: want at most 32 lower case letters, digits and dashes, a letter first", name)
	case slices.Contains(taken, name):
		f.Refused = fmt.Errorf("there is another method called %s", name)
	default:
		f.Refused = trusted(path)
		return refused(f)
	}
	// It is shown by its file, which is no method's name: nobody gets it by a name that means another one.
	f.Name = printable(filepath.Base(path))
	return refused(f)
}

func refused(f File) File {
	if f.Refused != nil {
		f.Refused = &Error{Engine: f.Name, Verb: "find", Err: f.Refused}
	}
	return f
}

// LoadAll greets all engines side by side.
func LoadAll(ctx context.Context, files []File, l Limits) methods.Set {
	set := make(methods.Set, len(files))
	var all sync.WaitGroup
	for i, f := range files {
		all.Go(func() { set[i] = Load(ctx, f, l) })
	}
	all.Wait()
	return set
}
