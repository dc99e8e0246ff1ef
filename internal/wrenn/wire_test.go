package wrenn

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// with returns the answer about a sandbox with something else in place of a part of it.
func with(part, other string) string { return strings.Replace(sandboxJSON, part, other, 1) }

// The id of a sandbox that was made is never lost, whatever else the answer says.
func TestCreateKeepsTheID(t *testing.T) {
	idAlone := Sandbox{ID: testID, Status: StatusPending}
	changed := func(change func(*Sandbox)) Sandbox {
		s := *wantSandbox
		change(&s)
		return s
	}
	for name, tc := range map[string]struct {
		answer string
		want   Sandbox
	}{
		"no status":         {with(`"status":"running",`, ``), changed(func(s *Sandbox) { s.Status = StatusPending })},
		"an empty status":   {with(`"running"`, `""`), changed(func(s *Sandbox) { s.Status = StatusPending })},
		"a long status":     {with(`"running"`, `"`+strings.Repeat("a", 65)+`"`), changed(func(s *Sandbox) { s.Status = Status(strings.Repeat("a", 64)) })},
		"a status in lines": {with(`"running"`, `"a\nb"`), changed(func(s *Sandbox) { s.Status = "a b" })},
		"a negative number": {with(`"vcpus":1`, `"vcpus":-1`), changed(func(s *Sandbox) { s.VCPUs = -1 })},
		"a wrong type":      {with(`"vcpus":1`, `"vcpus":"1"`), idAlone},
		"a large number":    {with(`"vcpus":1`, `"vcpus":2147483648`), idAlone},
		"a wrong time":      {with(`"2026-01-02T03:04:05Z"`, `"yesterday"`), idAlone},
		"nothing else":      {`{"id":"` + testID + `"}`, idAlone},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusCreated, tc.answer) })
			made, err := c.Sandboxes.Create(t.Context(), CreateSandboxRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tc.want, made); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a sandbox that is there is said to be like is believed all or not at all.
func TestGetRefusesWhatItCannotUnderstand(t *testing.T) {
	for name, body := range map[string]string{
		"no status":      with(`"status":"running",`, ``),
		"a wrong type":   with(`"vcpus":1`, `"vcpus":"1"`),
		"a large number": with(`"vcpus":1`, `"vcpus":2147483648`),
		"a wrong time":   with(`"2026-01-02T03:04:05Z"`, `"yesterday"`),
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, body) })
			if got, err := c.Sandbox(testID).Get(t.Context()); err == nil {
				t.Errorf("got %+v", got)
			}
		})
	}
}
