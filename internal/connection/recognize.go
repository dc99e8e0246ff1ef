package connection

import (
	"context"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// answer is what a service said about one sandbox that it was asked for.
type answer string

const (
	// answerKnown: the team has it.
	answerKnown answer = "known"
	// answerUnknown: the service says in its own protocol that this team has no such sandbox.
	answerUnknown answer = "unknown"
	// answerRefused: the service refuses the credential.
	answerRefused answer = "refused"
	// answerMismatched: there is something else than the expected service.
	answerMismatched answer = "mismatched"
	// answerNone: no answer, or none that tells anything.
	answerNone answer = "none"
)

// judge tells from the answers about sandboxes of one team whether it is that team which answers. One sandbox that is known
// is proof. That none is known is proof only where the service has said so of each.
func judge(answers []answer) State {
	count := map[answer]int{}
	for _, each := range answers {
		count[each]++
	}
	switch {
	case len(answers) == 0, count[answerKnown] > 0:
		return StateConnected
	case count[answerRefused] > 0:
		return StateUnauthorized
	case count[answerMismatched] > 0:
		return StateMismatched
	case count[answerUnknown] == len(answers):
		return StateForeign
	default:
		return StateUnreachable
	}
}

// answerOf tells what the outcome of a GET means.
func answerOf(err error) answer {
	switch {
	case err == nil:
		return answerKnown
	case wrenn.IsNotFound(err):
		return answerUnknown
	}
	switch stateOf(err) {
	case StateUnauthorized:
		return answerRefused
	case StateMismatched:
		return answerMismatched
	default:
		return answerNone
	}
}

// Recognize finds out whether it is the team which has some sandboxes: StateConnected where it has one of them. Then the
// list has been read too, and the team can take the place of another without a moment of ignorance. It is StateForeign where
// it has none of them.
func (t *Team) Recognize(ctx context.Context, ids []string) Health {
	var answers []answer
	var err error
	for _, id := range ids {
		_, err = t.Client.Sandboxes.Get(ctx, id)
		answers = append(answers, answerOf(err))
		if answers[len(answers)-1] != answerUnknown {
			break
		}
	}
	if state := judge(answers); state != StateConnected {
		return Health{State: state, Err: err}
	}
	_, health := t.look(ctx)
	t.setHealth(health)
	return health
}
