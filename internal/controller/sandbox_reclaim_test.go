package controller

import (
	"fmt"
	"testing"
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// What a create makes for a Sandbox that has gone in the meantime, whatever its finalizer said, is destroyed.
func TestSandboxThatIsGoneLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		again bool
		fault wrenndev.Fault
	}{
		"gone":                            {},
		"gone, and another of its name":   {again: true},
		"gone, and not destroyed at once": {fault: wrenndev.Fault{Kind: wrenndev.FaultFailBefore, Op: wrenndev.OpDestroy, Times: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newOperatedWorld(t, wrenndev.Config{})
			w.wrenn.Faults().Add(wrenndev.Fault{
				Kind: wrenndev.FaultAgentDelay, Op: wrenndev.OpCreate, Times: 1, Latency: wrenndev.Millis(time.Second),
			})
			if test.fault.Kind != "" {
				w.wrenn.Faults().Add(test.fault)
			}
			sandbox := w.sandbox("fleeting")
			w.create(sandbox)
			eventually(w, "the create has arrived", func() error {
				if len(w.wrenn.Sandboxes()) == 0 {
					return fmt.Errorf("requests: %+v", w.wrenn.Requests())
				}
				return nil
			})
			edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Finalizers = nil })
			if err := w.api.Delete(w.ctx, sandbox); err != nil {
				t.Fatal(err)
			}
			awaitGone(w, sandbox)
			left := 0
			if test.again {
				next := w.sandbox("fleeting")
				w.create(next)
				awaitReason(w, next, v1alpha1.ReasonRunning)
				left = 1
			}
			eventually(w, "what was made is destroyed", func() error {
				if alive := w.alive(); len(alive) != left {
					return fmt.Errorf("alive: %+v", alive)
				}
				return nil
			})
			if n := w.wrenn.LiveProcesses(); left == 0 && n != 0 {
				t.Errorf("%d processes left behind", n)
			}
		})
	}
}
