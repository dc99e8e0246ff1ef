package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// deletionScenarios are about the end of Sandboxes.
func deletionScenarios() []scenario {
	paused := mode(v1alpha1.OperatingModePaused)
	return []scenario{
		{
			name:   "delete",
			before: readyBox(),
			during: []step{deletes("box"), gone(box)},
		},
		{
			name:   "delete-paused",
			before: append(readyBox(), edit("box", paused), reason(box, v1alpha1.ReasonPaused)),
			during: []step{deletes("box"), gone(box)},
		},
		{
			name:   "delete-orphan",
			before: readyBox(func(s *v1alpha1.Sandbox) { s.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan }),
			during: []step{deletes("box"), gone(box)},
		},
		{
			name:   "delete-creating",
			before: []step{connected()},
			during: []step{sandbox("box"), met("patch.sandboxes.box"), deletes("box"), gone(box)},
		},
		{
			name:   "delete-pausing",
			before: readyBox(),
			during: []step{edit("box", paused), met("wrenn.pause"), deletes("box"), gone(box)},
		},
		{
			name:   "delete-and-again",
			before: readyBox(),
			during: []step{deletes("box"), gone(box), sandbox("box"), reason(box, v1alpha1.ReasonRunning)},
		},
		namespaceScenario(),
	}
}

// namespaceScenario deletes everything of a namespace at once, and the key first: it is held until all that was made with it is
// gone.
func namespaceScenario() scenario {
	const boxes = 4
	s := scenario{name: "namespace", before: []step{connected()}, check: snapshotsAre(0)}
	name := func(i int) string { return fmt.Sprint("box-", i) }
	for i := range boxes {
		s.before = append(s.before, sandbox(name(i)))
	}
	for i := range boxes - 1 { // the last may still be in the making
		s.before = append(s.before, reason(named[v1alpha1.Sandbox](name(i)), v1alpha1.ReasonRunning))
	}
	s.before = append(s.before, snapshot(func(s *v1alpha1.Snapshot) { s.Spec.SandboxRef.Name = name(0) }), taken)
	others := []client.Object{named[corev1.Secret]("wrenn"), named[v1alpha1.Connection]("default"), golden}
	s.during = append(s.during, func(ctx context.Context, w *world) error {
		for _, of := range others {
			if err := removes(of)(ctx, w); err != nil {
				return err
			}
		}
		for i := range boxes {
			if err := deletes(name(i))(ctx, w); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range boxes {
		s.during = append(s.during, gone(named[v1alpha1.Sandbox](name(i))))
	}
	for _, of := range others {
		s.during = append(s.during, gone(of))
	}
	// Without a connection no list is read, which tells that the operator rests.
	s.during = append(s.during, connected())
	return s
}
