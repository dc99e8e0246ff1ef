// Package client runs the examples of docs/client.md against the embedded Wrenn.
package client

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// example is the body of a function that docs/client.md shows.
type example struct {
	run func(context.Context, *wrenn.Client, io.Writer) error
	// says is what it writes.
	says string
	// signedIn examples take a client with a token.
	signedIn bool
	// only is the one generation that has what it uses.
	only wrenn.Generation
	// needs is a program of this machine that it runs in its sandbox.
	needs string
}

var examples = map[string]example{
	"sandboxes":  {run: sandboxes, says: "running minimal\npaused\nrunning true\n"},
	"exec":       {run: execute, says: "HELLO\n3\n"},
	"stream":     {run: stream, says: "stdout: one\nstderr: two\nexit code 7\n"},
	"files":      {run: files, says: "hello\n11 bytes\n"},
	"background": {run: background, says: "tick\nexit code -1\n", only: wrenn.GenerationCapsules},
	"terminal":   {run: terminal, says: "4 columns\n", only: wrenn.GenerationCapsules},
	"ports":      {run: ports, says: "hello\n", needs: "/usr/bin/python3"},
	"code":       {run: code, says: "adding\n6\nIndexError\n", only: wrenn.GenerationCapsules, needs: "/usr/bin/jupyter-server"},
	"snapshots":  {run: snapshots, says: "kept\n"},
	"errors":     {run: failures, says: "nobody has this id\nnot sent: invalid argument\n"},
	"auth":       {run: auth, says: "dev@wrenn.local\n"},
	"api keys":   {run: apiKeys, says: "The new key works.\n", signedIn: true},
	"teams":      {run: teams, says: "Research: 1 member\n", signedIn: true},
	"users":      {run: users, says: "dev@wrenn.local\n", signedIn: true},
	"hosts":      {run: hosts, says: "pending\n[gpu]\n", signedIn: true},
	"audit":      {run: audit, says: "destroy by the user\ncreate by the user\n", signedIn: true},
	"channels":   {run: channels, says: "notices of [capsule.created capsule.destroyed]\n", signedIn: true},
	"builds":     {run: builds, says: "success\nhello\n", signedIn: true},
}

func TestExamples(t *testing.T) {
	for generation, served := range map[wrenn.Generation]wrenndev.Generations{
		wrenn.GenerationSandboxes: wrenndev.Sandboxes, wrenn.GenerationCapsules: wrenndev.Capsules,
	} {
		t.Run(string(generation), func(t *testing.T) {
			server, err := wrenndev.Start(t.Context(), wrenndev.Config{Generations: served})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := server.Close(); err != nil {
					t.Error(err)
				}
			})
			t.Setenv(wrenn.EnvBaseURL, server.URL())
			t.Setenv(wrenn.EnvAPIKey, server.APIKey())
			t.Setenv("WRENN_EMAIL", server.User().Email)
			t.Setenv("WRENN_PASSWORD", server.User().Password)
			for name, example := range examples {
				if example.only != "" && example.only != generation {
					continue
				}
				t.Run(name, func(t *testing.T) {
					if _, err := os.Stat(example.needs); example.needs != "" && err != nil {
						t.Skipf("this machine has no %s, which the example runs in its sandbox", example.needs)
					}
					check(t, server, example)
				})
			}
		})
	}
}

func check(t *testing.T, server *wrenndev.Server, e example) {
	t.Helper()
	if strings.Contains(e.needs, "jupyter") {
		if err := server.BuildCodeRunner(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c, err := wrenn.NewFromEnv()
	if e.signedIn {
		var token wrenn.Credential
		if token, err = wrenn.JWT(server.Token()); err == nil {
			c, err = wrenn.New(server.URL(), token)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	var said strings.Builder
	if err := e.run(t.Context(), c, &said); err != nil {
		t.Fatal(err)
	}
	if said.String() != e.says {
		t.Errorf("it said %q, want %q", &said, e.says)
	}
	for _, sandbox := range server.Sandboxes() {
		if sandbox.Machine {
			t.Errorf("it left the sandbox %s behind", sandbox.ID)
		}
	}
}
