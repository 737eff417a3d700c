package bounds

import (
	"testing"
	"time"
)

// recorder is a test that keeps what it is told.
type recorder struct {
	testing.TB
	errors int
}

func (*recorder) Helper()        {}
func (r *recorder) Error(...any) { r.errors++ }

var sink []byte

func allocate(n int) func() {
	return func() { sink = make([]byte, n) }
}

func spin(t *testing.T, long time.Duration) func() {
	return func() {
		for start := spent(t).cpu; spent(t).cpu-start < long; {
		}
	}
}

func TestWithinSeesWhatIsTooMuch(t *testing.T) {
	tests := []struct {
		name string
		do   func()
		want int
	}{
		{"nothing", func() {}, 0},
		{"half the memory", allocate(Memory / 2), 0},
		{"too much memory", allocate(Memory + 1), 1},
		{"some time", spin(t, CPU/10), 0},
		{"too much time", spin(t, CPU+5*time.Millisecond), 1},
		{"another's time", func() { time.Sleep(CPU + 5*time.Millisecond) }, 0},
	}
	for _, test := range tests {
		r := &recorder{TB: t}
		if within(r, test.do, func() {}); r.errors != test.want {
			t.Errorf("%s: %d errors, want %d", test.name, r.errors, test.want)
		}
	}
}

func TestSlowMachineTakesLonger(t *testing.T) {
	for plain, want := range map[time.Duration]int{CPU / Plain / 2: 1, CPU: 0} {
		r := &recorder{TB: t}
		if within(r, spin(t, 2*CPU), spin(t, plain)); r.errors != want {
			t.Errorf("a plain list takes %v: %d errors, want %d", plain, r.errors, want)
		}
	}
}

func TestWithinForgivesWhatHappensOnce(t *testing.T) {
	runs := 0
	r := &recorder{TB: t}
	Within(r, func() {
		if runs++; runs == 1 {
			sink = make([]byte, 2*Memory)
		}
	})
	if r.errors != 0 || runs != 2 {
		t.Errorf("%d errors after %d runs", r.errors, runs)
	}
}

// BenchmarkWithin is what a fuzzer pays for each input.
func BenchmarkWithin(b *testing.B) {
	for b.Loop() {
		Within(b, func() {})
	}
}
