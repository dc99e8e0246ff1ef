package main

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// Whatever people do and whatever befalls the operator, all is where the model says once things are quiet.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, err := newWorld(t.Context(), shared, false)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := w.close(); err != nil {
				t.Error(err)
			}
		}()
		m := &modeled{world: w, there: map[string]bool{}}
		m.do(t, connected())
		t.Repeat(map[string]func(*rapid.T){
			"create":      m.create,
			"edit":        m.edit,
			"delete":      m.remove,
			"die":         m.onSome(destroyedByHand),
			"pauseByHand": m.onSome(pausedByHand),
			"kill":        func(*rapid.T) { w.killOperator() },
			"flap":        m.flap,
			"rest":        m.rest,
		})
		m.rest(t)
	})
}

// modeled is a world and what the model knows of it: which Sandboxes should be there. Where they come to rest, [wanted]
// says.
type modeled struct {
	world *world
	// there are the Sandboxes that are there; false for those that end by themselves.
	there map[string]bool
}

// do does what people do.
func (m *modeled) do(t *rapid.T, doing step) {
	if err := tolerated(doing(t.Context(), m.world)); err != nil {
		t.Fatal(err)
	}
}

var someName = rapid.SampledFrom(names[:2])

// policies draws what can be changed of a spec.
func policies(t *rapid.T) func(*v1alpha1.Sandbox) {
	var spec v1alpha1.SandboxSpec
	spec.OperatingMode = rapid.SampledFrom([]v1alpha1.OperatingMode{v1alpha1.OperatingModeRunning, v1alpha1.OperatingModePaused}).Draw(t, "mode")
	spec.RecoveryPolicy = rapid.SampledFrom([]v1alpha1.RecoveryPolicy{v1alpha1.RecoveryPolicyNone, v1alpha1.RecoveryPolicyRecreate}).Draw(t, "recovery")
	spec.DeletionPolicy = rapid.SampledFrom([]v1alpha1.DeletionPolicy{v1alpha1.DeletionPolicyDelete, v1alpha1.DeletionPolicyOrphan}).Draw(t, "deletion")
	spec.IdlePolicy = rapid.SampledFrom([]v1alpha1.IdlePolicy{v1alpha1.IdlePolicyStayPaused, v1alpha1.IdlePolicyKeepRunning}).Draw(t, "idle policy")
	return func(s *v1alpha1.Sandbox) {
		s.Spec.OperatingMode, s.Spec.RecoveryPolicy = spec.OperatingMode, spec.RecoveryPolicy
		s.Spec.DeletionPolicy, s.Spec.IdlePolicy = spec.DeletionPolicy, spec.IdlePolicy
	}
}

func (m *modeled) create(t *rapid.T) {
	name := someName.Draw(t, "name")
	if _, there := m.there[name]; there {
		t.Skip("it is there already")
	}
	change, kind := policies(t), rapid.IntRange(0, 5).Draw(t, "kind")
	shutdown := rapid.SampledFrom([]v1alpha1.ShutdownPolicy{v1alpha1.ShutdownPolicyRetain, v1alpha1.ShutdownPolicyDelete}).Draw(t, "shutdown")
	m.do(t, sandbox(name, change, func(s *v1alpha1.Sandbox) {
		switch kind {
		case 0:
			idling(2 + int32(name[0]-'a'))(s)
		case 1:
			idling(3600 + int32(name[0]-'a'))(s)
		case 2:
			s.Spec.TTLSeconds, s.Spec.ShutdownPolicy = 2, shutdown
		case 3:
			content := "hello\n"
			s.Spec.Files = []v1alpha1.SandboxFile{{Path: "/srv/file", Content: &content}}
		}
	}))
	m.there[name] = kind != 2 || shutdown != v1alpha1.ShutdownPolicyDelete
}

func (m *modeled) edit(t *rapid.T) { m.do(t, edit(someName.Draw(t, "name"), policies(t))) }

// remove deletes a Sandbox, and waits until it is gone half of the time.
func (m *modeled) remove(t *rapid.T) {
	name := someName.Draw(t, "name")
	m.do(t, deletes(name))
	m.do(t, gone(named[v1alpha1.Sandbox](name)))
	delete(m.there, name)
}

// onSome does something to a Sandbox of any name.
func (m *modeled) onSome(doing func(name string) step) func(*rapid.T) {
	return func(t *rapid.T) { m.do(t, doing(someName.Draw(t, "name"))) }
}

// flap has Wrenn out of reach for a moment.
func (m *modeled) flap(t *rapid.T) {
	m.world.down.Store(true)
	defer m.world.down.Store(false)
	select {
	case <-t.Context().Done():
	case <-time.After(time.Duration(rapid.IntRange(0, 300).Draw(t, "milliseconds")) * time.Millisecond):
	}
}

// rest waits until all is where the model says.
func (m *modeled) rest(t *rapid.T) {
	found, err := m.world.settle(t.Context(), nil, m.present)
	if err != nil || len(found) > 0 {
		t.Fatal(err, found)
	}
}

// present finds which Sandboxes are there and should not be, and the other way round.
func (m *modeled) present(ctx context.Context, w *world) (found []finding, err error) {
	var list v1alpha1.SandboxList
	if err := w.list(ctx, &list); err != nil {
		return nil, err
	}
	here := map[string]bool{}
	for i := range list.Items {
		name := list.Items[i].Name
		here[name] = true
		if _, known := m.there[name]; !known {
			found = append(found, finding{class: diverged, text: name + " is there"})
		}
	}
	for name, stays := range m.there {
		if stays && !here[name] {
			found = append(found, finding{class: diverged, text: name + " is gone"})
		}
	}
	return found, nil
}
