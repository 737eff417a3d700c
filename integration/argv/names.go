package argv

import (
	"iter"
	"math/rand/v2"
	"strings"
)

// parts are what hostile names are made of.
var parts = []string{
	"-", "--", "--help", "-U", "-f", "--image-opts", "--config", "=", "json:", `json:{"driver":"nbd"}`, "nbd:", "nbd://h/x", "rbd:", "ssh://", "file:", "fat:rw:", "http:", "host_device:",
	"/", "//", "../", "..", ".", "./", "/dev/", "/dev/mapper/", "/etc/shadow", "@", "#", ":", ",", ",,", ";", "|", "&", "$(id)", "`id`", "*", "?", "~", "%s", "%n", "{id}", "{", "}", "[", "]",
	"\\", "'", "\"", "<", ">", "&amp;", "]]>", " ", "\t", "\n", "\r", "\x1b[2J", "\x7f", "\x00", "\x01", "\u0085", "\u202e", "\u2028", "\ufeff", "\ufffd", "\xff", "\xc3", "é", "e\u0301", "日本", "😀",
	"a", "vda", "vg0", "lv-1", "ds-sone-vda", "web1", "Z", "_", "+", "0", "1", "12345", "18446744073709551616", "-1", "none", "null", ".raw", ".qcow2", "driver=raw", "file.filename=",
	strings.Repeat("x", 255), strings.Repeat("9", 300), strings.Repeat("é", 150), strings.Repeat("../", 100),
}

// Names are so many names, the same ones every time. About every second one has nothing in it that is never allowed,
// so that checks let enough through.
func Names(n int) iter.Seq[string] {
	r := rand.New(rand.NewPCG(1, 2))
	return func(yield func(string) bool) {
		for range n {
			if !yield(name(r)) {
				return
			}
		}
	}
}

func name(r *rand.Rand) string {
	if r.IntN(2) == 0 {
		return mild(r)
	}
	var b strings.Builder
	for range r.IntN(6) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

// mild is a name of letters, digits and what some programs take for more.
func mild(r *rand.Rand) string {
	const letters = "abcxyzABC0123456789-_.+@#:,=/ é"
	all := []rune(letters)
	text := make([]rune, 1+r.IntN(20))
	for i := range text {
		text[i] = all[r.IntN(len(all))]
	}
	return string(text)
}
