package main

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

var golden = named[v1alpha1.Snapshot]("golden")

// snapshot makes a Snapshot of the box.
func snapshot(changes ...func(*v1alpha1.Snapshot)) step {
	return creates(func(*world) client.Object {
		made := named[v1alpha1.Snapshot]("golden")
		made.Spec.SandboxRef.Name = "box"
		for _, change := range changes {
			change(made)
		}
		return made
	})
}

// taken waits until the Snapshot is there and nothing is left to be written of it.
var taken = until(golden, v1alpha1.ReasonTaken, func(obj client.Object) bool {
	return obj.GetAnnotations()[v1alpha1.AnnotationSnapshotIntent] == ""
})

// snapshotScenarios are about Snapshots.
func snapshotScenarios() []scenario {
	fromGolden := func(s *v1alpha1.Sandbox) { s.Spec.SnapshotRef = &v1alpha1.SnapshotReference{Name: "golden"} }
	copied := named[v1alpha1.Sandbox]("copy")
	return []scenario{
		{
			name:   "snapshot",
			before: readyBox(),
			during: []step{snapshot(), taken, reason(box, v1alpha1.ReasonRunning)},
			check:  snapshotsAre(1),
		},
		{
			name:   "snapshot-named",
			before: append(readyBox(idling(3600)), mayIdle("box")),
			during: []step{
				snapshot(func(s *v1alpha1.Snapshot) {
					s.Spec.SnapshotName, s.Spec.SourcePolicy = "chosen", v1alpha1.SourcePolicyLeavePaused
				}),
				taken, reason(box, v1alpha1.ReasonIdlePaused),
			},
			check: snapshotsAre(1),
		},
		{
			name:   "snapshot-start",
			before: append(readyBox(), snapshot(), taken, reason(box, v1alpha1.ReasonRunning)),
			during: []step{sandbox("copy", fromGolden), reason(copied, v1alpha1.ReasonRunning)},
			check:  snapshotsAre(1),
		},
		{
			name:   "snapshot-delete",
			before: append(readyBox(), snapshot(), taken, reason(box, v1alpha1.ReasonRunning)),
			during: []step{removes(golden), gone(golden)},
			check:  snapshotsAre(0),
		},
		{
			name:   "snapshot-delete-taking",
			before: readyBox(),
			during: []step{snapshot(), met("wrenn.snapshot-create"), removes(golden), gone(golden), reason(box, v1alpha1.ReasonRunning)},
			check:  snapshotsAre(0),
		},
	}
}

// snapshotsAre checks how many snapshots the team has.
func snapshotsAre(want int) func(context.Context, *world) ([]finding, error) {
	return func(ctx context.Context, w *world) ([]finding, error) {
		list, err := w.hands.Snapshots.List(ctx)
		count := 0
		for _, each := range list {
			if !each.Platform {
				count++
			}
		}
		switch {
		case err != nil:
			return nil, err
		case count > want:
			return []finding{{class: leaked, text: "there are more snapshots than Snapshots"}}, nil
		case count < want:
			return []finding{{class: lost, text: "a snapshot is gone"}}, nil
		default:
			return nil, nil
		}
	}
}
