package journal

import (
	"io/fs"
	"maps"

	"github.com/domsnap/domsnap/orchestrator/durable"
)

// crashFS is a directory in memory that knows what has reached the disk. What has not may be there after a crash or not,
// one change without the other, and of what was written to a file a part.
type crashFS struct {
	// names are the directory as programs see it.
	names map[string]*inode
	// pending are the changes of names that are not synced, in order.
	pending []rename
	durable map[string]*inode
	// step is called after every change.
	step func()
	// full is the error of every write.
	full error
}

// inode is a file's content: what is synced, and the changes that are not.
type inode struct {
	durable []byte
	pending []change
}

// change is text behind the end of a file, or no content at all any more.
type change struct {
	empty bool
	text  []byte
}

// rename gives an inode the name to and takes away the name from; either may be empty.
type rename struct {
	from, to string
	node     *inode
}

func newCrashFS() *crashFS {
	return &crashFS{names: map[string]*inode{}, durable: map[string]*inode{}, step: func() {}}
}

func (n *inode) apply(changes []change) []byte {
	text := append([]byte(nil), n.durable...)
	for _, c := range changes {
		if c.empty {
			text = nil
		}
		text = append(text, c.text...)
	}
	return text
}

func (f *crashFS) change(r rename) {
	if r.from != "" {
		delete(f.names, r.from)
	}
	if r.to != "" {
		f.names[r.to] = r.node
	}
	f.pending = append(f.pending, r)
	f.step()
}

func (f *crashFS) Create(name string) (durable.File, error) {
	if node, ok := f.names[name]; ok {
		node.pending = append(node.pending, change{empty: true})
		f.step()
		return &handle{f, node}, nil
	}
	node := &inode{}
	f.change(rename{to: name, node: node})
	return &handle{f, node}, nil
}

func (f *crashFS) Append(name string) (durable.File, error) {
	node, ok := f.names[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return &handle{f, node}, nil
}

func (f *crashFS) Rename(from, to string) error {
	f.change(rename{from: from, to: to, node: f.names[from]})
	return nil
}

func (f *crashFS) Remove(name string) error {
	if f.names[name] == nil {
		return fs.ErrNotExist
	}
	f.change(rename{from: name})
	return nil
}

func (f *crashFS) ReadFile(name string) ([]byte, error) {
	node, ok := f.names[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return node.apply(node.pending), nil
}

func (f *crashFS) Sync() error {
	f.durable, f.pending = maps.Clone(f.names), nil
	f.step()
	return nil
}

// handle is an open file.
type handle struct {
	fs   *crashFS
	node *inode
}

// Write cuts what is written into pieces, each of which may get lost.
func (h *handle) Write(text []byte) (int, error) {
	if h.fs.full != nil {
		return 0, h.fs.full
	}
	for at := 0; at < len(text); {
		end := min(at+max(1, len(text)/3), len(text))
		h.node.pending = append(h.node.pending, change{text: append([]byte(nil), text[at:end]...)})
		h.fs.step()
		at = end
	}
	return len(text), nil
}

func (h *handle) Sync() error {
	h.node.durable, h.node.pending = h.node.apply(h.node.pending), nil
	h.fs.step()
	return nil
}

func (h *handle) Close() error { return nil }

// crashes gives every directory that a crash now may leave.
func (f *crashFS) crashes(see func(map[string][]byte)) {
	for names := range subsets(f.pending) {
		after := maps.Clone(f.durable)
		for _, r := range names {
			delete(after, r.from)
			if r.to != "" {
				after[r.to] = r.node
			}
		}
		eachContent(after, see)
	}
}

// eachContent combines what each file may have of what was written to it.
func eachContent(names map[string]*inode, see func(map[string][]byte)) {
	contents := []map[string][]byte{{}}
	for name, node := range names {
		var next []map[string][]byte
		for changes := range subsets(node.pending) {
			for _, c := range contents {
				with := maps.Clone(c)
				with[name] = node.apply(changes)
				next = append(next, with)
			}
		}
		contents = next
	}
	for _, c := range contents {
		see(c)
	}
}

// subsets gives every choice of the elements, in their order.
func subsets[T any](all []T) func(func([]T) bool) {
	return func(yield func([]T) bool) {
		for mask := range 1 << len(all) {
			var chosen []T
			for i, one := range all {
				if mask>>i&1 == 1 {
					chosen = append(chosen, one)
				}
			}
			if !yield(chosen) {
				return
			}
		}
	}
}
