package connection

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

func running(id string) wrenn.Sandbox { return wrenn.Sandbox{ID: id, Status: wrenn.StatusRunning} }
func paused(id string) wrenn.Sandbox  { return wrenn.Sandbox{ID: id, Status: wrenn.StatusPaused} }

func TestInventoryTellsWhatHasChanged(t *testing.T) {
	t.Parallel()
	inv, start := newInventory(), time.Now()
	for i, step := range []struct {
		name string
		list []wrenn.Sandbox
		want []string
	}{
		{"all that is new", []wrenn.Sandbox{running("a"), running("b")}, []string{"a", "b"}},
		{"nothing", []wrenn.Sandbox{running("b"), running("a")}, nil},
		{"another state", []wrenn.Sandbox{paused("a"), running("b")}, []string{"a"}},
		{"what is gone", []wrenn.Sandbox{running("b")}, []string{"a"}},
		{"what is back", []wrenn.Sandbox{running("a"), running("b")}, []string{"a"}},
		{"an empty list", nil, []string{"a", "b"}},
	} {
		changed := inv.replace(step.list, start.Add(time.Duration(i)*time.Second))
		slices.Sort(changed)
		if diff := cmp.Diff(step.want, changed); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
	}
}

// A list is a look into the past: what was seen after it was asked for outweighs it.
func TestInventoryDistrustsOldLists(t *testing.T) {
	t.Parallel()
	start := time.Now()
	inv := newInventory()
	inv.observe(running("new"), start.Add(time.Second))
	inv.observe(paused("changed"), start.Add(time.Second))
	if changed := inv.replace([]wrenn.Sandbox{running("changed")}, start); len(changed) != 0 {
		t.Errorf("changed: %v", changed)
	}
	if s := inv.lookup("new"); s.Sandbox == nil {
		t.Error("a sandbox that was made after the list was asked for is taken for absent")
	}
	if s := inv.lookup("changed"); s.Sandbox.Status != wrenn.StatusPaused {
		t.Errorf("an old list overruled the answer to a call: %s", s.Sandbox.Status)
	}
	inv.replace(nil, start.Add(2*time.Second))
	if s := inv.lookup("new"); s.Sandbox != nil || !s.Listed {
		t.Errorf("a later list is not believed: %+v", s)
	}
}

func TestInventoryKeepsWhatHasEnded(t *testing.T) {
	t.Parallel()
	start := time.Now()
	inv := newInventory()
	inv.observe(wrenn.Sandbox{ID: "a", Status: wrenn.StatusStopped}, start)
	inv.replace(nil, start.Add(time.Second))
	if s := inv.lookup("a"); s.Sandbox == nil || s.Sandbox.Status != wrenn.StatusStopped {
		t.Errorf("it is not known any more that the sandbox has ended: %+v", s)
	}
	if alive, _ := inv.all(); len(alive) != 0 {
		t.Errorf("alive: %+v", alive)
	}
	inv.forget("a")
	if s := inv.lookup("a"); s.Sandbox != nil {
		t.Errorf("it is not forgotten: %+v", s)
	}
}

// What has ended is known for as long as anybody asks for it, and is not kept for ever after.
func TestInventoryForgetsWhatNobodyAsksFor(t *testing.T) {
	t.Parallel()
	now, inv := time.Now(), newInventory()
	inv.observe(wrenn.Sandbox{ID: "lost", Status: wrenn.StatusStopped}, now.Add(-2*keepEnded))
	inv.observe(wrenn.Sandbox{ID: "replaced", Status: wrenn.StatusStopped}, now.Add(-2*keepEnded))
	inv.observe(wrenn.Sandbox{ID: "new", Status: wrenn.StatusError}, now)
	inv.observe(running("alive"), now.Add(-2*keepEnded))
	inv.lookup("lost")
	if changed := inv.replace([]wrenn.Sandbox{running("alive")}, now.Add(time.Second)); len(changed) != 0 {
		t.Errorf("changed: %v", changed)
	}
	for id, want := range map[string]bool{"lost": true, "replaced": false, "new": true, "alive": true} {
		if _, ok := inv.seen[id]; ok != want {
			t.Errorf("%s is known: %v", id, ok)
		}
	}
	inv.replace([]wrenn.Sandbox{running("alive")}, now.Add(2*keepEnded))
	if len(inv.seen) != 1 {
		t.Errorf("known: %+v", inv.seen)
	}
}

func TestInventoryForgetsNothingThatIsAlive(t *testing.T) {
	t.Parallel()
	start := time.Now()
	inv := newInventory()
	inv.observe(wrenn.Sandbox{ID: "a", Status: wrenn.StatusRunning}, start)
	inv.forget("a")
	if alive, _ := inv.all(); len(alive) != 1 {
		t.Errorf("alive: %+v", alive)
	}
	inv.replace(nil, start.Add(time.Second))
	if s := inv.lookup("a"); s.Sandbox != nil {
		t.Errorf("it is kept although the list lacks it: %+v", s)
	}
}

func TestInventoryKnowsNothingBeforeTheFirstList(t *testing.T) {
	t.Parallel()
	if s := newInventory().lookup("a"); s.Sandbox != nil || s.Listed {
		t.Errorf("%+v", s)
	}
}
