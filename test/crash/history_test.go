package main

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// A remote that a Sandbox has left behind is not taken for one of a later Sandbox of the same name.
func TestRemoteIsOfTheSandboxThatWasThere(t *testing.T) {
	t.Parallel()
	start := time.Now()
	h := newHistory()
	for i, uid := range []types.UID{"first", "second"} {
		h.owns(uid, 3600)
		h.begins(uid, start.Add(time.Duration(i)*time.Minute))
	}
	for after, want := range map[time.Duration]types.UID{time.Second: "first", 59 * time.Second: "first", time.Minute: "second", time.Hour: "second"} {
		if got, ok := h.maker(wrenndev.SandboxInfo{TimeoutSec: 3600, Created: start.Add(after)}); got != want || !ok {
			t.Errorf("after %s: it is of %q, want %q", after, got, want)
		}
	}
	if got, ok := h.maker(wrenndev.SandboxInfo{TimeoutSec: 60, Created: start}); ok {
		t.Errorf("one of nobody's is of %q", got)
	}
}

// Only where the operator was killed about the time at which a Sandbox vanished can nobody know of what was made for it.
func TestForgotten(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for name, tc := range map[string]struct {
		vanished bool
		killed   []time.Time
		want     bool
	}{
		"it did not vanish":         {false, []time.Time{at}, false},
		"nobody was killed":         {true, nil, false},
		"killed right after":        {true, []time.Time{at.Add(time.Second)}, true},
		"killed before it was seen": {true, []time.Time{at.Add(-time.Second)}, true},
		"killed long after":         {true, []time.Time{at.Add(time.Minute)}, false},
		"killed long before":        {true, []time.Time{at.Add(-time.Minute)}, false},
	} {
		h := newHistory()
		if h.killed = tc.killed; tc.vanished {
			h.vanished["box"] = at
		}
		if got := h.forgotten("box"); got != tc.want {
			t.Errorf("%s: forgotten is %t", name, got)
		}
	}
}
