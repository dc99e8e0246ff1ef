package main

import (
	"slices"
	"testing"
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// innocent are facts of a case with nothing wrong: one Sandbox had a remote, lost it, and has another one.
func innocent() (facts, map[string][]string) {
	begin := time.Unix(1_000_000, 0)
	at := func(second int) time.Time { return begin.Add(time.Duration(second) * time.Second) }
	shape := []string{".metadata.generation: 1", ".status.sandboxID: <its remote>"}
	f := facts{
		remotes: []remoteFacts{
			{id: "second", owner: "box", made: at(3), alive: true, state: wrenndev.StatusRunning},
			{id: "first", owner: "box", made: at(1), ended: at(2), state: wrenndev.StatusStopped},
			{id: "hand-made", made: at(1), alive: true, state: wrenndev.StatusRunning, kept: true},
		},
		objects: []objectFacts{{
			name: "Sandbox/box", remote: "second", reason: v1alpha1.ReasonRunning, resting: true, shape: shape,
			wants: want{reasons: []string{v1alpha1.ReasonRunning}, state: wrenndev.StatusRunning},
		}},
	}
	return f, map[string][]string{"Sandbox/box": slices.Clone(shape)}
}

// The judge sees each way to be wrong, and nothing where nothing is.
func TestJudge(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(f *facts)
		want   []class
	}{
		"innocent":                       {func(*facts) {}, nil},
		"a remote that nobody has":       {func(f *facts) { f.remotes[1].alive = true }, []class{leaked}},
		"a remote that nobody should":    {func(f *facts) { f.remotes[2].kept = false }, []class{leaked}},
		"a second before the first went": {func(f *facts) { f.remotes[1].ended = f.remotes[0].made.Add(time.Second) }, []class{doubled}},
		"a second beside the first": {func(f *facts) {
			f.remotes[1].ended, f.remotes[1].alive = time.Time{}, true
		}, []class{leaked, doubled}},
		"one remote of two": {func(f *facts) {
			rival := f.objects[0]
			rival.name = "Sandbox/rival"
			f.objects = append(f.objects, rival)
		}, []class{doubled, diverged}},
		"a Sandbox without its remote":   {func(f *facts) { f.remotes[0].alive, f.remotes[0].ended = false, f.remotes[0].made }, []class{lost}},
		"a remote destroyed for nothing": {func(f *facts) { f.took = []string{"first"} }, []class{lost}},
		"a remote in another state":      {func(f *facts) { f.remotes[0].state = wrenndev.StatusPaused }, []class{diverged}},
		"work without end":               {func(f *facts) { f.objects[0].resting = false }, []class{stuck}},
		"another reason":                 {func(f *facts) { f.objects[0].reason = v1alpha1.ReasonLost }, []class{diverged}},
		"conditions at odds":             {func(f *facts) { f.broken = []string{"Ready and Stalled"} }, []class{diverged}},
		"another field":                  {func(f *facts) { f.objects[0].shape = append(f.objects[0].shape, ".status.more: 1") }, []class{diverged}},
		"a missing field":                {func(f *facts) { f.objects[0].shape = f.objects[0].shape[:1] }, []class{diverged}},
		"a missing object":               {func(f *facts) { f.objects = nil; f.remotes = nil }, []class{diverged}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, reference := innocent()
			test.change(&f)
			found := judge(f, reference)
			for _, c := range classes {
				has := slices.ContainsFunc(found, func(f finding) bool { return f.class == c })
				if want := slices.Contains(test.want, c); has != want {
					t.Errorf("%s: found %v, want %v; all: %v", c, has, want, found)
				}
			}
		})
	}
}
