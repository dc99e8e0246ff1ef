package controller

import (
	"errors"
	"fmt"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// errSnapshotStillThere is what a deletion fails with whose snapshot is still listed afterwards.
var errSnapshotStillThere = errors.New("the snapshot is still listed after its deletion")

// nameTaken is where a Snapshot stands whose name somebody else has.
func nameTaken(view *snapshotView) standing {
	return stalled(v1alpha1.ReasonNameTaken, fmt.Sprintf("the team already has a template or snapshot named %q that is not this "+
		"object's: create another Snapshot with another spec.snapshotName, or delete that one", remoteName(view.snapshot))).
		after(nameInterval)
}

// refusalStanding tells why the service would not take the snapshot. A source in the wrong state is waited for.
func refusalStanding(err error) standing {
	if wrenn.IsInvalidState(err) || wrenn.IsNotFound(err) || wrenn.IsConflict(err) {
		return working(v1alpha1.ReasonSandboxNotReady, "Wrenn cannot take a snapshot of the sandbox in its present state; trying again")
	}
	return problemOf(err)
}

// describe writes where the Snapshot stands into the status.
func (r *SnapshotReconciler) describe(view *snapshotView, s standing) {
	snapshot := view.snapshot
	if view.observed.deleting {
		s = s.ofDeleted()
		if s.reason == v1alpha1.ReasonTaken {
			s = working(v1alpha1.ReasonDeleting, "the remote snapshot is being deleted")
		}
	}
	s.write(&snapshot.Status.Conditions, snapshot.Generation)
	snapshot.Status.ObservedGeneration = snapshot.Generation
}
