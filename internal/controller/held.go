package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
)

// heldInterval is how often a deletion that is held by its connection is looked at again, should nothing else wake it.
const heldInterval = 10 * time.Second

// heldBy are the reasons that name what holds the deletion of an object.
var heldBy = map[string]bool{
	v1alpha1.ReasonConnectionNotFound:   true,
	v1alpha1.ReasonConnectionNotReady:   true,
	v1alpha1.ReasonSecretNotFound:       true,
	v1alpha1.ReasonSecretKeyNotFound:    true,
	v1alpha1.ReasonInvalidCredential:    true,
	v1alpha1.ReasonGenerationMismatch:   true,
	v1alpha1.ReasonTeamMismatch:         true,
	v1alpha1.ReasonUnauthorized:         true,
	v1alpha1.ReasonEndpointUnreachable:  true,
	v1alpha1.ReasonServiceError:         true,
	v1alpha1.ReasonInvalidRequest:       true,
	v1alpha1.ReasonRemoteUnconfirmed:    true,
	v1alpha1.ReasonCreateOutcomeUnknown: true,
	v1alpha1.ReasonSnapshotInUse:        true,
}

// holder returns the reason that the conditions of an object which is deleted give for its still being there: "" where it
// is just being ended.
func holder(obj client.Object, conditions []metav1.Condition) string {
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if obj.GetDeletionTimestamp().IsZero() || ready == nil || !heldBy[ready.Reason] {
		return ""
	}
	return ready.Reason
}

// holdingText begins the message of an object whose deletion is held.
const holdingText = "the deletion is held: "

// tellsOfHolding tells whether a condition says that a deletion is held.
func tellsOfHolding(condition *metav1.Condition) bool {
	return strings.HasPrefix(condition.Message, holdingText)
}

// ofDeleted turns the standing of an object into that of one which is deleted: it is not ready, and says that it is held
// where it is.
func (s standing) ofDeleted() standing {
	s.ready = metav1.ConditionFalse
	if heldBy[s.reason] {
		s.message = holdingText + s.message
	}
	return s
}

// waitFor is where an object stands that needs a connection which cannot be used.
func waitFor(cause *connection.UnavailableError, deleting bool) standing {
	s := working(cause.Reason, cause.Message)
	if deleting {
		return s.after(heldInterval)
	}
	return s
}

// notConnected tells why a team cannot be used, nil where it can.
func notConnected(key connection.Key, team *connection.Team, deleting bool) *connection.UnavailableError {
	health := team.Health()
	if health.State == connection.StateConnected {
		return nil
	}
	return notReady(key, healthStanding(health).reason, deleting)
}

// explain names the cause of a connection's having no team, as the conditions of the connection tell it.
func explain(ctx context.Context, reader client.Reader, key connection.Key, why *connection.UnavailableError, deleting bool) (*connection.UnavailableError, error) {
	if why.Reason != v1alpha1.ReasonConnectionNotReady {
		return why, nil
	}
	found, err := readConnection(ctx, reader, key)
	switch ready := meta.FindStatusCondition(found.status.Conditions, v1alpha1.ConditionReady); {
	case apierrors.IsNotFound(err):
		return &connection.UnavailableError{
			Reason: v1alpha1.ReasonConnectionNotFound, Message: fmt.Sprintf("%s, which the object is bound to, is not there: create it again", key),
		}, nil
	case err != nil:
		return nil, err
	case ready == nil:
		return why, nil
	default:
		return notReady(key, ready.Reason, deleting), nil
	}
}

// notReady says that a connection is not ready, for a reason of its own. An object that is deleted gives that as the
// reason why it is still there.
func notReady(key connection.Key, cause string, deleting bool) *connection.UnavailableError {
	switch cause {
	case v1alpha1.ReasonConnected, v1alpha1.ReasonConnecting, v1alpha1.ReasonInUse:
		return &connection.UnavailableError{
			Reason: v1alpha1.ReasonConnectionNotReady, Message: fmt.Sprintf("%s is not ready: its Ready condition says why", key),
		}
	}
	why := &connection.UnavailableError{
		Reason: v1alpha1.ReasonConnectionNotReady, Message: fmt.Sprintf("%s is not ready (%s): its Ready condition says what to do", key, cause),
	}
	if deleting {
		why.Reason = cause
	}
	return why
}
