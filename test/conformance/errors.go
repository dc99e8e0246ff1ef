package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// What holds for all routes: how they refuse, and whom.
var errorChecks = []check{
	{name: "health", only: wrenn.GenerationCapsules, run: health},
	{name: "unknown-route", run: unknownRoute},
	{name: "wrong-method", run: wrongMethod},
	{name: "unauthorized", run: unauthorized},
	{name: "key-wins-over-token", token: true, run: keyWins},
	{name: "bearer-is-case-sensitive", token: true, run: bearerCase},
	{name: "key-on-routes-of-tokens", run: keyWhereTokens},
	{name: "token-opens-sandboxes", token: true, run: tokenOpens},
	{name: "invalid_request-of-ids", run: malformedIDs},
	{name: "invalid_request-of-bodies", run: badBodies},
	{name: "not_found-of-another-team", token: true, run: otherTeams},
	{name: "lenient-bodies", run: lenientBodies},
	{name: "trailing-slash", run: trailingSlash},
	{name: "whole-seconds", run: wholeSeconds},
	{name: "no-idempotency-key", run: idempotencyKey},
	{name: "no-client-metadata", run: clientMetadata},
}

func health(p *probe) {
	got, err := p.c.Health(p.ctx)
	p.ok(err)
	p.want(got.Status == "ok", "the status is %q", got.Status)
}

func unknownRoute(p *probe) {
	a := p.send("GET", "/v1/no-such-route", "")
	p.want(a.status == 404 && strings.TrimSpace(string(a.body)) == "404 page not found" &&
		strings.HasPrefix(a.header.Get("Content-Type"), "text/plain"), "HTTP %d %q", a.status, a.body)
}

func wrongMethod(p *probe) {
	for _, path := range []string{p.sandboxes(), "/v1/snapshots"} {
		a := p.send(http.MethodPatch, path, "")
		p.want(a.status == 405 && len(a.body) == 0, "PATCH %s: HTTP %d %q", path, a.status, a.body)
	}
}

func unauthorized(p *probe) {
	bad := "wrn_" + strings.Repeat("0", 32)
	for what, header := range map[string]http.Header{
		"no credential": nil, "an unknown key": {"X-Api-Key": {bad}}, "no key at all": {"X-Api-Key": {"key"}},
		"a token that is none": {"Authorization": {"Bearer x.y.z"}}, "a password": {"Authorization": {"Basic eDp5"}},
	} {
		for _, path := range []string{p.sandboxes(), "/v1/snapshots"} {
			p.turnedAway(p.raw(request{method: "GET", path: path, header: header}), what, 401, wrenn.CodeUnauthorized)
		}
	}
	credential, err := wrenn.APIKey(bad)
	p.ok(err)
	c, err := p.client(credential)
	p.ok(err)
	_, err = c.Sandboxes.List(p.ctx)
	p.refused(err, "an unknown key", wrenn.CodeUnauthorized)
	p.want(!strings.Contains(err.Error(), bad), "the error shows the key")
}

// keyWins: the token is not tried when there is a key.
func keyWins(p *probe) {
	header := p.withBearer()
	header.Set("X-Api-Key", "wrn_"+strings.Repeat("0", 32))
	p.turnedAway(p.raw(request{method: "GET", path: p.sandboxes(), header: header}), "a bad key beside a token", 401, wrenn.CodeUnauthorized)
}

func bearerCase(p *probe) {
	a := p.raw(request{method: "GET", path: p.sandboxes(), header: http.Header{"Authorization": {"bearer " + p.token}}})
	p.turnedAway(a, "the word bearer", 401, wrenn.CodeUnauthorized)
}

func keyWhereTokens(p *probe) {
	for _, path := range []string{
		"/v1/api-keys", "/v1/teams", "/v1/hosts", "/v1/audit-logs", "/v1/channels", "/v1/admin/templates", "/v1/admin/builds",
		"/v1/users/search?email=a@b",
	} {
		p.turnedAway(p.send("GET", path, ""), path, 401, wrenn.CodeUnauthorized)
	}
	_, err := p.c.APIKeys.List(p.ctx)
	p.caused(err, wrenn.ErrUnauthenticated)
}

func tokenOpens(p *probe) {
	c := p.newCrew()
	h := c.Sandbox(p.create(c.Client, wrenn.CreateSandboxRequest{}).ID)
	p.want(p.sh(h, "echo in") == "in\n", "the command did not run")
	_, err := c.Snapshots.List(p.ctx)
	p.ok(err)
}

func malformedIDs(p *probe) {
	for _, id := range []string{"x", "cl-", "cl-short", "cl-" + absent + "0", "key-" + absent} {
		p.turnedAway(p.send("GET", p.sandboxes(id), ""), id, 400, wrenn.CodeInvalidRequest)
		p.turnedAway(p.send("DELETE", p.sandboxes(id), ""), id, 400, wrenn.CodeInvalidRequest)
		p.turnedAway(p.send("POST", p.sandboxes(id, "ping"), ""), id, 400, wrenn.CodeInvalidRequest)
	}
	_, err := p.c.Sandboxes.Get(p.ctx, "x/../y")
	p.caused(err, wrenn.ErrInvalidArgument)
}

func badBodies(p *probe) {
	for _, body := range []string{
		"", " ", "[]", `"text"`, `{"vcpus":"1"}`, `{"vcpus":1.5}`, `{"memory_mb":2147483648}`, `{"template":7}`, `{"template":`,
		`{"template":"-bad"}`, `{"template":"a/b"}`, `{"template":"` + strings.Repeat("a", 65) + `"}`,
	} {
		a := p.raw(request{method: "POST", path: p.sandboxes(), header: p.withKey(), body: strings.NewReader(body)})
		p.turnedAway(a, body, 400, wrenn.CodeInvalidRequest)
	}
	_, err := p.c.Sandboxes.Create(p.ctx, wrenn.CreateSandboxRequest{Template: "-bad"})
	p.caused(err, wrenn.ErrInvalidArgument)
}

// otherTeams: what another team has is not there.
func otherTeams(p *probe) {
	h, c := p.sandbox(), p.newCrew()
	foreign := c.Sandbox(h.ID())
	_, err := foreign.Get(p.ctx)
	p.refused(err, "getting another team's sandbox", wrenn.CodeNotFound)
	p.refused(foreign.Destroy(p.ctx), "destroying another team's sandbox", wrenn.CodeNotFound)
	_, err = foreign.Exec(p.ctx, wrenn.ExecRequest{Cmd: "true"})
	p.refused(err, "a command in another team's sandbox", wrenn.CodeNotFound)
	listed, err := c.Sandboxes.List(p.ctx)
	p.ok(err)
	p.want(len(listed) == 0, "a new team has %d sandboxes", len(listed))
	p.is(h, wrenn.StatusRunning)
}

// raise creates a sandbox by hand, has it destroyed when the check is over, and returns it as the client sees it.
func (p *probe) raise(path, body string, header http.Header) *wrenn.Sandbox {
	a := p.raw(request{method: "POST", path: path, header: header, body: strings.NewReader(body), makes: true})
	p.want(a.status == 201, "%s: HTTP %d %s", body, a.status, a.code())
	var made struct{ ID string }
	p.ok(json.Unmarshal(a.body, &made))
	p.later(func(ctx context.Context) error { return p.c.Sandboxes.Destroy(ctx, made.ID) })
	got, err := p.c.Sandboxes.Get(p.ctx, made.ID)
	p.ok(err)
	return got
}

// marked is a create's body with a mark and what else it is to hold.
func (p *probe) marked(more string) string {
	return fmt.Sprintf(`{"timeout_sec":%d%s}`, p.mark(), more)
}

// lenientBodies: what is unknown, and what follows, does not count, and null is an empty body.
func lenientBodies(p *probe) {
	for _, body := range []string{"null", "{}", `{"unknown":[1],"vcpus":0,"memory_mb":-5} and more`, `{} {"vcpus":"x"}`} {
		got := p.raise(p.sandboxes(), body, p.withKey())
		p.want(got.Template == "minimal" && got.VCPUs == 1 && got.MemoryMB == 512 && got.TimeoutSec == 0, "%s makes %+v", body, got)
	}
}

func trailingSlash(p *probe) {
	for _, path := range []string{p.sandboxes() + "/", "/v1/snapshots/"} {
		a := p.send("GET", path, "")
		p.want(a.status == 200, "GET %s: HTTP %d", path, a.status)
	}
	p.raise(p.sandboxes()+"/", p.marked(""), p.withKey())
}

func wholeSeconds(p *probe) {
	a := p.send("GET", p.sandboxes(p.sandbox().ID()), "")
	var times struct {
		CreatedAt   string `json:"created_at"`
		StartedAt   string `json:"started_at"`
		LastUpdated string `json:"last_updated"`
	}
	p.ok(json.Unmarshal(a.body, &times))
	for _, text := range []string{times.CreatedAt, times.StartedAt, times.LastUpdated} {
		at, err := time.Parse(time.RFC3339, text)
		p.want(err == nil && at.UTC().Format("2006-01-02T15:04:05Z") == text, "a time is %q", text)
	}
}

// idempotencyKey: there is no such thing, so a create is never to be repeated.
func idempotencyKey(p *probe) {
	header := p.withKey()
	header.Set("Idempotency-Key", p.name())
	body := p.marked("")
	first, second := p.raise(p.sandboxes(), body, header), p.raise(p.sandboxes(), body, header)
	p.want(first.ID != second.ID, "the second create returns the first sandbox")
}

// clientMetadata: what a server writes is its own, and what a client writes is dropped.
func clientMetadata(p *probe) {
	got := p.raise(p.sandboxes(), p.marked(`,"metadata":{"conformance":"set"},"name":"conformance"`), p.withKey())
	p.want(got.Metadata["conformance"] == "", "the metadata is kept: %v", got.Metadata)
}
