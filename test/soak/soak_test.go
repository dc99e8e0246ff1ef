package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A short soak, which holds jobs to their outputs and the operator to its goroutines and sockets. Its heap says little after
// seconds: caches are still being filled.
func TestSoak(t *testing.T) {
	var out strings.Builder
	args := strings.Fields("-for 15s -warm-up 5s -every 5s -rate 2 -at-a-time 12 -sandboxes 3 -watch 3s -more-heap 100")
	clean, err := run(t.Context(), args, &out)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	if !clean || strings.Contains(out.String(), "soak: jobs=0 ") || strings.Contains(out.String(), " cuts=0 failed=") {
		t.Fail()
	}
}

func TestExceeded(t *testing.T) {
	t.Parallel()
	allowed := tolerance{heapShare: 0.5, goroutines: 2, sockets: 1}
	first := held{heap: 10 << 20, goroutines: 100, sockets: 10}
	for _, tc := range []struct {
		name   string
		last   held
		recent int
		want   string
	}{
		{"as before", first, 0, ""},
		{"less", held{heap: 1, goroutines: 1, sockets: 1}, 0, ""},
		{"as much as may be", held{heap: 15 << 20, goroutines: 102, sockets: 11}, 0, ""},
		{"events", held{heap: 16 << 20, goroutines: 100, sockets: 10}, 256, ""},
		{"heap", held{heap: 16 << 20, goroutines: 100, sockets: 10}, 0, "the heap has grown from 10.0 to 16.0 MiB, beyond 15.0"},
		{"goroutines", held{heap: 10 << 20, goroutines: 103, sockets: 10}, 0, "there were 100 goroutines and are 103, more than 102"},
		{"sockets", held{heap: 10 << 20, goroutines: 100, sockets: 12}, 0, "there were 10 sockets and are 12, more than 11"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := allowed.exceeded(first, tc.last, tc.recent); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-for 1m -warm-up 1m", "-rate 0", "-at-a-time 0", "-sandboxes 0"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s was taken", args)
		}
	}
}
