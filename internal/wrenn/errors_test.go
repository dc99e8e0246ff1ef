package wrenn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var predicates = map[string]func(error) bool{
	"NotFound": IsNotFound, "Unauthorized": IsUnauthorized, "Forbidden": IsForbidden, "InvalidRequest": IsInvalidRequest,
	"InvalidState": IsInvalidState, "Conflict": IsConflict, "AlreadyExists": IsAlreadyExists, "NameReserved": IsNameReserved,
	"NameTaken": IsNameTaken, "HasActiveSandboxes": HasActiveSandboxes, "TooLarge": IsTooLarge, "AgentError": IsAgentError,
	"Unavailable": IsUnavailable, "RateLimited": IsRateLimited, "Transport": IsTransport, "Ambiguous": IsAmbiguous,
	"Refusal": IsRefusal,
}

func TestPredicates(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"nil":                       {nil, ""},
		"foreign":                   {errors.New("not_found"), ""},
		"not_found":                 {&Error{StatusCode: 404, Code: CodeNotFound}, "NotFound Refusal"},
		"unauthorized":              {&Error{StatusCode: 401, Code: CodeUnauthorized}, "Unauthorized Refusal"},
		"forbidden":                 {&Error{StatusCode: 403, Code: CodeForbidden}, "Forbidden Refusal"},
		"account_deactivated":       {&Error{StatusCode: 403, Code: CodeAccountDeactivated}, "Forbidden Refusal"},
		"invalid_request":           {&Error{StatusCode: 400, Code: CodeInvalidRequest}, "InvalidRequest Refusal"},
		"invalid_state":             {&Error{StatusCode: 409, Code: CodeInvalidState}, "Conflict InvalidState Refusal"},
		"conflict":                  {&Error{StatusCode: 409, Code: CodeConflict}, "Conflict Refusal"},
		"already_exists":            {&Error{StatusCode: 409, Code: CodeAlreadyExists}, "AlreadyExists Conflict NameTaken Refusal"},
		"template_name_taken":       {&Error{StatusCode: 409, Code: CodeTemplateNameTaken}, "AlreadyExists Conflict NameTaken Refusal"},
		"name_reserved":             {&Error{StatusCode: 409, Code: CodeNameReserved}, "Conflict NameReserved NameTaken Refusal"},
		"has_active_sandboxes":      {&Error{StatusCode: 409, Code: CodeHasActiveSandboxes}, "Conflict HasActiveSandboxes Refusal"},
		"host_has_sandboxes":        {&Error{StatusCode: 409, Code: CodeHostHasSandboxes}, "Conflict HasActiveSandboxes Refusal"},
		"too_large":                 {&Error{StatusCode: 413, Code: CodeTooLarge}, "Refusal TooLarge"},
		"agent_error":               {&Error{StatusCode: 502, Code: CodeAgentError, Ambiguous: true}, "AgentError Ambiguous"},
		"no_hosts_available":        {&Error{StatusCode: 503, Code: CodeNoHostsAvailable}, "Unavailable"},
		"host_unavailable":          {&Error{StatusCode: 503, Code: CodeHostUnavailable}, "Unavailable"},
		"rate limit in protocol":    {&Error{StatusCode: 429, Code: "slow_down"}, "RateLimited"},
		"rate limit of a proxy":     {&Error{StatusCode: 429}, "RateLimited"},
		"timeout in protocol":       {&Error{StatusCode: 408, Code: "timeout"}, ""},
		"new code of a known kind":  {&Error{StatusCode: 404, Code: "volume_not_found"}, "NotFound Refusal"},
		"new code of another kind":  {&Error{StatusCode: 451, Code: "unlawful"}, "Refusal"},
		"code against the status":   {&Error{StatusCode: 502, Code: CodeNotFound}, "NotFound"},
		"status of something else":  {&Error{StatusCode: 404, Err: ErrInvalidResponse}, ""},
		"unauthorized by a proxy":   {&Error{StatusCode: 401, Err: ErrInvalidResponse}, ""},
		"unknown route":             {&Error{StatusCode: 404, Err: ErrWrongGeneration}, ""},
		"wrapped":                   {fmt.Errorf("reconcile: %w", &Error{StatusCode: 404, Code: CodeNotFound}), "NotFound Refusal"},
		"transport":                 {&Error{Err: errors.Join(ErrTransport, context.Canceled), Ambiguous: true}, "Ambiguous Transport"},
		"never sent":                {invalidArgument("op", "x"), ""},
		"unsupported by generation": {&Error{Err: ErrUnsupported}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := map[string]bool{}
			for _, word := range strings.Fields(tc.want) {
				want[word] = true
			}
			for word, is := range predicates {
				if got := is(tc.err); got != want[word] {
					t.Errorf("%s = %v for %v", word, got, tc.err)
				}
			}
		})
	}
}

func TestErrorBodies(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		header map[string]string
		body   string
		want   Error
	}{
		"plain": {
			status: 409, body: `{"error":{"code":"invalid_state","message":"sandbox is not running"}}`,
			want: Error{StatusCode: 409, Code: CodeInvalidState, Message: "sandbox is not running"},
		},
		"everything": {
			status: 409, header: map[string]string{"X-Request-Id": "r-1", "Retry-After": "7"},
			body: `{"error":{"code":"has_active_sandboxes","message":"m","sandbox_ids":["` + testID + `","junk"]}}`,
			want: Error{
				StatusCode: 409, Code: CodeHasActiveSandboxes, Message: "m", SandboxIDs: []string{testID}, RequestID: "r-1",
				RetryAfter: 7 * time.Second,
			},
		},
		"the key, control characters and too many words": {
			status: 401, header: map[string]string{"X-Request-Id": testKey},
			body: `{"error":{"code":"unauthorized","message":"` + testKey + `\n\u001b[31m` + strings.Repeat("é", 600) + `"}}`,
			want: Error{
				StatusCode: 401, Code: CodeUnauthorized, RequestID: redacted,
				Message: redacted + "  [31m" + strings.Repeat("é", 248),
			},
		},
		"no code":              {status: 400, body: `{"error":{"message":"m"}}`, want: notOurs(400)},
		"code of another form": {status: 400, body: `{"error":{"code":"<b>","message":"m"}}`, want: notOurs(400)},
		"code of another type": {status: 400, body: `{"error":{"code":400,"message":"m"}}`, want: notOurs(400)},
		"error as a string":    {status: 400, body: `{"error":"not_found"}`, want: notOurs(400)},
		"HTML":                 {status: 404, body: `<html>not_found</html>`, want: notOurs(404)},
		"null":                 {status: 404, body: `null`, want: notOurs(404)},
		"array":                {status: 404, body: `[]`, want: notOurs(404)},
		"truncated":            {status: 404, body: `{"error":{"code":"not_found","mess`, want: notOurs(404)},
		"something after it":   {status: 404, body: `{"error":{"code":"not_found","message":""}} x`, want: notOurs(404)},
		"empty":                {status: 405, want: notOurs(405)},
		"too large": {
			status: 404, body: `{"error":{"code":"not_found","message":"` + strings.Repeat("x", 64<<10) + `"}}`,
			want: Error{StatusCode: 404, Ambiguous: true, Err: ErrResponseTooLarge},
		},
		"another success":           {status: 202, body: sandboxJSON, want: Error{StatusCode: 202, Message: "unexpected status of a success", Ambiguous: true, Err: ErrInvalidResponse}},
		"unknown route":             {status: 404, header: map[string]string{"Content-Type": "text/plain; charset=utf-8"}, body: unknownRoute + "\n", want: Error{StatusCode: 404, Message: "the server does not know the route", Err: ErrWrongGeneration}},
		"unknown route of others":   {status: 404, header: map[string]string{"Content-Type": "text/plain"}, body: "default backend - 404", want: notOurs(404)},
		"refusal with a late retry": {status: 429, header: map[string]string{"Retry-After": "Fri, 01 Jan 1990 00:00:00 GMT"}, body: "", want: notOurs(429)},
		"retry header of nonsense":  {status: 503, header: map[string]string{"Retry-After": "-1"}, body: "", want: notOurs(503)},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range tc.header {
					w.Header().Set(k, v)
				}
				if tc.header["Content-Type"] == "" {
					w.Header().Set("Content-Type", "application/json")
				}
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			})
			_, err := c.Sandboxes.Create(t.Context(), CreateSandboxRequest{})
			got := *asError(t, err)
			kind := got.Err
			if !errors.Is(kind, tc.want.Err) {
				t.Errorf("kind is %v, want %v", kind, tc.want.Err)
			}
			tc.want.Op, tc.want.Err, got.Err = "sandboxes.create", nil, nil
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("error differs (-want +got):\n%s", diff)
			}
		})
	}
}

func notOurs(status int) Error {
	return Error{StatusCode: status, Message: "not an answer of the service", Ambiguous: true, Err: ErrInvalidResponse}
}

func TestErrorText(t *testing.T) {
	for want, e := range map[string]*Error{
		"wrenn sandboxes.get: HTTP 404 not_found: gone":     {Op: "sandboxes.get", StatusCode: 404, Code: CodeNotFound, Message: "gone", RequestID: "r-1"},
		"wrenn sandboxes.get: connection refused":           {Op: "sandboxes.get", Message: "connection refused", Err: ErrTransport},
		"wrenn sandboxes.get: HTTP 200: response too large": {Op: "sandboxes.get", StatusCode: 200, Err: ErrResponseTooLarge},
	} {
		if got := e.Error(); got != want {
			t.Errorf("Error() = %q, want %q", got, want)
		}
	}
}
