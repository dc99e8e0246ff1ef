package wrenndev

import (
	"strings"
	"testing"
)

func TestIDs(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newID("cl-")
		if !validID(id) || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
	for id, want := range map[string]bool{
		unknownID:                             true,
		"cl-" + strings.Repeat("0", 24):       false,
		"cl-" + strings.Repeat("0", 26):       false,
		"cl-" + strings.Repeat("A", 25):       false,
		"cl-" + strings.Repeat("z", 25):       false, // more than 128 bits
		"usr-" + strings.Repeat("0", 25):      false,
		"cl-f5lxx1zz5pnorynqglhzmsp33":        true, // the largest 128-bit number
		"cl-f5lxx1zz5pnorynqglhzmsp34":        false,
		"cl-" + strings.Repeat("0", 24) + "+": false,
	} {
		if got := validID(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}
