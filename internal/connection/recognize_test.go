package connection

import (
	"errors"
	"testing"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answers []answer
		want    State
	}{
		"nothing to ask for":        {nil, StateConnected},
		"one is known":              {[]answer{answerKnown}, StateConnected},
		"one was purged":            {[]answer{answerUnknown, answerKnown}, StateConnected},
		"none is known":             {[]answer{answerUnknown, answerUnknown}, StateForeign},
		"the only one is unknown":   {[]answer{answerUnknown}, StateForeign},
		"refused":                   {[]answer{answerRefused}, StateUnauthorized},
		"refused in the middle":     {[]answer{answerUnknown, answerRefused}, StateUnauthorized},
		"not answered":              {[]answer{answerNone}, StateUnreachable},
		"not answered in the end":   {[]answer{answerUnknown, answerNone}, StateUnreachable},
		"something else answers":    {[]answer{answerMismatched}, StateMismatched},
		"something else in the end": {[]answer{answerUnknown, answerMismatched}, StateMismatched},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := judge(tc.answers); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestAnswerOf(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want answer
	}{
		"an answer":              {nil, answerKnown},
		"404 of the service":     {&wrenn.Error{StatusCode: 404, Code: wrenn.CodeNotFound}, answerUnknown},
		"404 of something else":  {&wrenn.Error{StatusCode: 404, Err: wrenn.ErrInvalidResponse}, answerNone},
		"404 of another route":   {&wrenn.Error{StatusCode: 404, Err: wrenn.ErrWrongGeneration}, answerMismatched},
		"401":                    {&wrenn.Error{StatusCode: 401, Code: wrenn.CodeUnauthorized}, answerRefused},
		"403":                    {&wrenn.Error{StatusCode: 403, Code: wrenn.CodeForbidden}, answerRefused},
		"500":                    {&wrenn.Error{StatusCode: 500, Code: wrenn.CodeInternalError}, answerNone},
		"no answer":              {&wrenn.Error{Err: wrenn.ErrTransport}, answerNone},
		"an error of some other": {errors.New("odd"), answerNone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := answerOf(tc.err); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// A team that has recognized its sandboxes knows all of them before anything leads to it.
func TestRecognizedTeamKnowsItsSandboxes(t *testing.T) {
	server := startWrenn(t, wrenndev.Config{Teams: []wrenndev.Team{{Name: "one"}, {Name: "other"}}})
	pool, _ := startPool(t)
	settings := settingsFor(t, server.URL(), server.APIKeyOf("one"))
	team, err := pool.Candidate(settings)
	if err != nil {
		t.Fatal(err)
	}
	made, err := team.Client.Sandboxes.Create(t.Context(), wrenn.CreateSandboxRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if health := team.Recognize(t.Context(), []string{made.ID}); health.State != StateConnected {
		t.Fatalf("not recognized: %+v", health)
	}
	if _, ok := pool.Get(key("default")); ok {
		t.Error("something leads to a candidate")
	}
	if got := pool.Lead(key("default"), team, settings); got != team || got.Health().State != StateConnected || got.Lookup(made.ID).Sandbox == nil {
		t.Errorf("health %+v, sandbox %+v", got.Health(), got.Lookup(made.ID))
	}
	other, err := pool.Candidate(settingsFor(t, server.URL(), server.APIKeyOf("other")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Client.CloseIdleConnections)
	if health := other.Recognize(t.Context(), []string{made.ID}); health.State != StateForeign {
		t.Errorf("a sandbox of another team: %+v", health)
	}
}
