package controller

import (
	"cmp"
	"slices"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// clockSkew is how far the clocks of the operator and of Wrenn may be apart.
const clockSkew = 2 * time.Minute

// correlation is what a list tells about a create that was never answered.
type correlation struct {
	verdict verdict
	// remotes are those that the verdict is about.
	remotes []wrenn.Sandbox
}

// verdict on an open intent.
type verdict string

const (
	// verdictEarly: the list is too old to tell.
	verdictEarly verdict = "early"
	// verdictNone: nothing came of the create.
	verdictNone verdict = "none"
	// verdictFound: one remote came of it, and it is alive.
	verdictFound verdict = "found"
	// verdictAbandoned: what came of it was left half made, and is to be destroyed.
	verdictAbandoned verdict = "abandoned"
	// verdictUnknown: there are remotes that may have come of it, or may be somebody else's.
	verdictUnknown verdict = "unknown"
)

// correlateQuery is an open intent and what it is compared with.
type correlateQuery struct {
	intent createIntent
	// request is what was asked for, without the token.
	request wrenn.CreateSandboxRequest
	// sized tells that the remote has the size that was asked for. One made from a snapshot has the snapshot's.
	sized bool
	// list of the team, and when it was asked for.
	list     []wrenn.Sandbox
	listTime time.Time
	// settled is from when on a list shows whatever came of the create.
	settled time.Time
	// limit is how long a create may take.
	limit time.Duration
	// exclusive tells that nobody else makes sandboxes in the team.
	exclusive bool
	// claimed tells that another object has a remote.
	claimed func(id string) bool
}

// correlate finds out what came of a create that was never answered. With a token it recognizes its own exactly;
// without, it can only do so in a team that nobody else uses.
func correlate(q correlateQuery) correlation {
	certain := q.intent.Token != 0 || q.exclusive
	var alive, pending []wrenn.Sandbox
	for _, remote := range q.list {
		switch {
		case !q.mayBe(remote):
		case remote.Status == wrenn.StatusPending:
			pending = append(pending, remote)
		default:
			alive = append(alive, remote)
		}
	}
	oldestFirst(alive)
	early := q.listTime.Before(q.settled)
	switch {
	case q.intent.Token != 0 && len(alive) == 1:
		return correlation{verdict: verdictFound, remotes: alive}
	case early:
		return correlation{verdict: verdictEarly}
	case len(alive) == 0 && len(pending) == 0:
		return correlation{verdict: verdictNone}
	case !certain || len(alive) > 1:
		return correlation{verdict: verdictUnknown, remotes: append(alive, pending...)}
	case len(alive) == 1:
		return correlation{verdict: verdictFound, remotes: alive}
	default:
		return correlation{verdict: verdictAbandoned, remotes: pending}
	}
}

// mayBe tells whether a remote may have come of the intent.
func (q correlateQuery) mayBe(remote wrenn.Sandbox) bool {
	switch {
	case remote.ID == q.intent.Replaces, q.claimed(remote.ID), remote.Template != q.request.Template:
		return false
	case remote.CreatedAt.Before(q.intent.Time.Add(-clockSkew)):
		return false
	case q.intent.Token != 0:
		return remote.TimeoutSec == -q.intent.Token
	case remote.CreatedAt.After(q.intent.Time.Add(q.limit + clockSkew)):
		return false
	case q.sized && (remote.VCPUs != q.request.VCPUs || remote.MemoryMB != q.request.MemoryMB):
		return false
	default:
		return remote.TimeoutSec == q.request.TimeoutSec
	}
}

func oldestFirst(remotes []wrenn.Sandbox) {
	slices.SortFunc(remotes, func(a, b wrenn.Sandbox) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
}
