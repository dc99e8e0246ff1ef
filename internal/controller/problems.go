package controller

import (
	"errors"
	"time"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// errStillThere is what a destroy fails with whose sandbox is not stopped afterwards.
var errStillThere = errors.New("the sandbox is not stopped after its destruction")

// problemOf tells a failed call of Wrenn as a standing. There are three kinds: an answer of the service in its own
// protocol that says no stalls; everything else is retried; and what the connection's own conditions tell, the refused
// key, is waited for.
func problemOf(err error) standing {
	switch {
	case wrenn.IsUnauthorized(err), wrenn.IsForbidden(err):
		return working(v1alpha1.ReasonUnauthorized, "Wrenn refuses the credential of the connection: put a valid one into its Secret")
	case wrenn.IsInvalidRequest(err):
		return stalled(v1alpha1.ReasonInvalidRequest, "Wrenn refuses the request as invalid: "+briefly(err))
	case errors.Is(err, wrenn.ErrTransport):
		return working(v1alpha1.ReasonEndpointUnreachable, "no answer from Wrenn; trying again")
	case wrenn.IsRateLimited(err):
		return working(v1alpha1.ReasonServiceError, "Wrenn asks for fewer requests; trying again")
	default:
		return working(v1alpha1.ReasonServiceError, "Wrenn failed: "+briefly(err)+"; trying again")
	}
}

// briefly returns the code and status of an error. The service's own message may hold ids, so it is left out: a message
// that changes from one try to the next is a status write each time.
func briefly(err error) string {
	var e *wrenn.Error
	switch {
	case errors.Is(err, errStillThere), errors.Is(err, errSnapshotStillThere):
		return err.Error()
	case !errors.As(err, &e):
		return "unexpected error"
	case e.Code != "":
		return string(e.Code)
	case errors.Is(err, wrenn.ErrInvalidResponse):
		return "the answer cannot be understood"
	default:
		return e.Error()
	}
}

// askedToWait returns how long the service asked to be left alone.
func askedToWait(err error) time.Duration {
	var e *wrenn.Error
	if errors.As(err, &e) {
		return e.RetryAfter
	}
	return 0
}
