package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
)

// chunk is how much of a file one agent command carries. The emulated guest is slow at reading commands: a quarter of
// a MiB takes longer than an answer may.
const chunk = 64 << 10

// WriteFile writes a file in the guest and syncs it.
func (d *Domain) WriteFile(ctx context.Context, path string, data []byte) error {
	if _, err := d.Exec(ctx, ": > "+quote(path)); err != nil {
		return err
	}
	for len(data) > 0 {
		n := min(len(data), chunk)
		if _, err := d.execInput(ctx, "cat >> "+quote(path), data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	_, err := d.Exec(ctx, "sync")
	return err
}

// ReadFile reads a file of at most 16 MiB in the guest.
func (d *Domain) ReadFile(ctx context.Context, path string) ([]byte, error) {
	out, err := d.Exec(ctx, "cat "+quote(path))
	return []byte(out), err
}

// Fill writes a file of size bytes that follow from the seed alone, and syncs it. No two parts of it are equal.
func (d *Domain) Fill(ctx context.Context, path string, seed uint64, size int64) error {
	const header = 16
	block := make([]byte, chunk-header)
	source := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(seed >> 24),
		byte(seed >> 32), byte(seed >> 40), byte(seed >> 48), byte(seed >> 56)})
	if _, err := source.Read(block); err != nil {
		return fmt.Errorf("make random data: %w", err)
	}
	count := (size + chunk - 1) / chunk
	script := fmt.Sprintf(`set -e; b=$(mktemp); cat > $b; i=0
		while [ $i -lt %d ]; do printf '%%0%dd' $i; cat $b; i=$((i+1)); done | head -c %d > %s; rm $b; sync`,
		count, header, size, quote(path))
	_, err := d.execInput(ctx, script, block)
	return err
}

// Sum is the SHA-256 of a file in the guest, read from the disk and not from the guest's cache.
func (d *Domain) Sum(ctx context.Context, path string) (string, error) {
	out, err := d.Exec(ctx, "sync; echo 3 > /proc/sys/vm/drop_caches; sha256sum "+quote(path))
	if err != nil {
		return "", err
	}
	sum, _, _ := strings.Cut(out, " ")
	return sum, nil
}

// quote makes one word of the shell's.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
