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

// attempt is a create that was begun, and what a remote that came of it is recognized by.
type attempt struct {
	intent createIntent
	// request is what was asked for, without the token.
	request wrenn.CreateSandboxRequest
	// sized tells that the remote has the size that was asked for. One made from a snapshot has the snapshot's.
	sized bool
	// limit is how long a create may take.
	limit time.Duration
	// settled is from when on a list shows whatever came of it; zero while it is under way.
	settled time.Time
}

// byToken is an attempt as far as a remote can be recognized by its token.
func byToken(intent createIntent) attempt {
	return attempt{intent: intent, request: wrenn.CreateSandboxRequest{Template: intent.Template}}
}

// correlateQuery is an attempt whose outcome is not known, and what it is compared with.
type correlateQuery struct {
	attempt
	// rivals are the other attempts in the team whose outcome is not stored yet.
	rivals []attempt
	// list of the team, and when it was asked for.
	list     []wrenn.Sandbox
	listTime time.Time
	// exclusive tells that nobody else makes sandboxes in the team.
	exclusive bool
	// claimed are the ids of the remotes that other objects have.
	claimed map[string]bool
}

// correlate finds out what came of a create that was never answered. With a token it recognizes its own exactly;
// without, it can only do so in a team that nobody else uses.
func correlate(q correlateQuery) correlation {
	var alive, pending []wrenn.Sandbox
	for _, remote := range q.list {
		switch {
		case q.claimed[remote.ID] || !q.mayBe(remote):
		case remote.Status == wrenn.StatusPending:
			pending = append(pending, remote)
		default:
			alive = append(alive, remote)
		}
	}
	inOrder(alive)
	candidates := slices.Concat(alive, pending)
	rivals := slices.DeleteFunc(slices.Clone(q.rivals), func(rival attempt) bool { return !slices.ContainsFunc(candidates, rival.mayBe) })
	marked := q.intent.Token != 0
	switch {
	case marked && len(alive) == 1 && len(rivals) == 0:
		return correlation{verdict: verdictFound, remotes: alive}
	case q.early(rivals):
		return correlation{verdict: verdictEarly}
	case len(candidates) == 0:
		return correlation{verdict: verdictNone}
	case !marked && !q.exclusive:
		return correlation{verdict: verdictUnknown, remotes: candidates}
	case len(alive) == 0:
		return correlation{verdict: verdictAbandoned, remotes: pending}
	}
	switch own, left := q.deal(); {
	case len(left) > 0:
		return correlation{verdict: verdictUnknown, remotes: candidates}
	case len(own) == 0:
		return correlation{verdict: verdictNone}
	case own[0].Status == wrenn.StatusPending:
		return correlation{verdict: verdictAbandoned, remotes: own}
	default:
		return correlation{verdict: verdictFound, remotes: own}
	}
}

// early tells whether the list is too old to tell what came of the attempt and of those that it competes with.
func (q correlateQuery) early(rivals []attempt) bool {
	return slices.ContainsFunc(append(rivals, q.attempt), func(a attempt) bool {
		return a.settled.IsZero() || q.listTime.Before(a.settled)
	})
}

// deal gives each attempt in the team, the earliest first, the oldest remote that may have come of it; those that were
// left half made last. It returns what the attempt in question gets, and what is left that it might as well have got.
// Attempts that may have made the same remote have asked for the same, and nothing has run in it yet: it does not matter
// who gets which, as long as all come to the same answer.
func (q correlateQuery) deal() (own, left []wrenn.Sandbox) {
	left = slices.DeleteFunc(slices.Clone(q.list), func(remote wrenn.Sandbox) bool { return q.claimed[remote.ID] })
	inOrder(left)
	attempts := append(slices.Clone(q.rivals), q.attempt)
	slices.SortFunc(attempts, func(a, b attempt) int {
		return cmp.Or(a.intent.Time.Compare(b.intent.Time), cmp.Compare(a.intent.ID, b.intent.ID))
	})
	for _, each := range attempts {
		i := slices.IndexFunc(left, each.mayBe)
		if i < 0 {
			continue
		}
		if each.intent.ID == q.intent.ID {
			own = []wrenn.Sandbox{left[i]}
		}
		left = slices.Delete(left, i, i+1)
	}
	return own, slices.DeleteFunc(left, func(remote wrenn.Sandbox) bool { return !q.mayBe(remote) })
}

// mayBe tells whether a remote may have come of the attempt.
func (a attempt) mayBe(remote wrenn.Sandbox) bool {
	switch {
	case remote.ID == a.intent.Replaces, remote.Template != a.request.Template:
		return false
	case remote.CreatedAt.Before(a.intent.Time.Add(-clockSkew)), a.intent.Earlier.have(remote):
		return false
	case a.intent.Token != 0:
		return remote.TimeoutSec == -a.intent.Token
	case remote.CreatedAt.After(a.intent.Time.Add(a.limit + clockSkew)):
		return false
	case a.sized && (remote.VCPUs != a.request.VCPUs || remote.MemoryMB != a.request.MemoryMB):
		return false
	default:
		return remote.TimeoutSec == a.request.TimeoutSec
	}
}

// inOrder sorts remotes: the oldest first, those that were left half made last.
func inOrder(remotes []wrenn.Sandbox) {
	rank := map[wrenn.Status]int{wrenn.StatusPending: 1}
	slices.SortFunc(remotes, func(a, b wrenn.Sandbox) int {
		return cmp.Or(rank[a.Status]-rank[b.Status], a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
}
