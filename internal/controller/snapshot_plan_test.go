package controller

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var allTakeStates = []takeState{takeNone, takeRefused, takeOpen, takeAbsent, takeDone, takeRecorded}

// snapshotCell is one cell of the table, and wants says in the words of the specification what is to be done in it.
func wantsSnapshot(o snapshotObserved) snapshotAction {
	if o.flying {
		return snapshotAwaitCall
	}
	switch o.take {
	case takeRefused:
		return snapshotCloseIntent
	case takeOpen:
		return snapshotLook
	case takeAbsent:
		if o.deleting || !o.sourced {
			return snapshotCloseIntent
		}
		return snapshotTakeAgain
	case takeDone:
		// The source first, since it waits; then the status; then the intent.
		switch {
		case o.restore:
			return snapshotRestore
		case o.unsaved:
			return snapshotSave
		default:
			return snapshotCloseIntent
		}
	case takeRecorded:
		switch {
		case !o.deleting:
			return snapshotRest
		case o.deletion == v1alpha1.DeletionPolicyOrphan || o.deleted:
			return snapshotLetGo
		case o.awaited:
			return snapshotAwaitUse
		default:
			return snapshotDelete
		}
	}
	// Never asked for.
	switch {
	case o.deleting:
		return snapshotLetGo
	case o.taken:
		return snapshotReportTaken
	case o.chosen && !o.free:
		return snapshotCheckName
	default:
		return snapshotBegin
	}
}

func TestPlanSnapshotCoversEveryState(t *testing.T) {
	t.Parallel()
	for _, take := range allTakeStates {
		for _, deletion := range allDeletions {
			for _, f := range combinations(10) {
				o := snapshotObserved{
					take: take, deletion: deletion, flying: f[0], deleting: f[1], unsaved: f[2] && take == takeDone, chosen: f[3],
					free: f[4], taken: f[5] && !f[4], restore: f[6] && take == takeDone, awaited: f[7], deleted: f[8], sourced: f[9],
				}
				if got, want := planSnapshot(o), wantsSnapshot(o); got != want {
					t.Errorf("%+v: %s, want %s", o, got, want)
				}
			}
		}
	}
}

func TestRemoteNameIsOneThatWrennTakes(t *testing.T) {
	t.Parallel()
	long := make([]byte, 253)
	for i := range long {
		long[i] = 'a'
	}
	seen := map[string]bool{}
	for _, name := range []string{"a", "golden", "with.dots.and-hyphens", string(long), "a." + string(long[:38]) + ".b"} {
		for _, uid := range []string{"1", "2"} {
			snapshot := &v1alpha1.Snapshot{}
			snapshot.Namespace, snapshot.Name, snapshot.UID = "ns", name, types.UID(uid)
			got := remoteName(snapshot)
			if !wrenn.ValidTemplateName(got) {
				t.Errorf("%q is not a name that Wrenn takes", got)
			}
			if seen[got] {
				t.Errorf("%q twice", got)
			}
			seen[got] = true
		}
	}
}
