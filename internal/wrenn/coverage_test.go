package wrenn

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/contract"
)

// streams are the methods that no canned answer can serve.
var streams = map[string]func(context.Context, *Client) error{
	"exec stream": func(ctx context.Context, c *Client) error {
		_, err := c.Sandbox(testID).ExecStream(ctx, ExecStreamRequest{Cmd: "true"})
		return err
	},
	"upload": func(ctx context.Context, c *Client) error { return c.Sandbox(testID).Upload(ctx, "a", nil) },
	"stream upload": func(ctx context.Context, c *Client) error {
		return c.Sandbox(testID).StreamUpload(ctx, "a", strings.NewReader(""))
	},
}

// capsuleStreams are those of generation Capsules.
var capsuleStreams = map[string]func(context.Context, *Client) error{
	"process stream": func(ctx context.Context, c *Client) error {
		_, err := c.Sandbox(testID).ProcessStream(ctx, ByPID(1))
		return err
	},
	"pty": func(ctx context.Context, c *Client) error {
		_, err := c.Sandbox(testID).OpenPty(ctx, PtyRequest{})
		return err
	},
	"connect pty": func(ctx context.Context, c *Client) error {
		_, err := c.Sandbox(testID).ConnectPty(ctx, "pty-0a1b2c3d")
		return err
	},
}

// TestEveryOperationHasAMethod calls every method against a server of each generation that refuses everything, and looks
// which operations of the contract were asked for.
func TestEveryOperationHasAMethod(t *testing.T) {
	terms, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range generations {
		t.Run(string(g), func(t *testing.T) {
			checked := terms.NewTransport(http.DefaultTransport, "", func(err error) {
				if strings.Contains(err.Error(), "request:") || strings.Contains(err.Error(), "no operation") {
					t.Error(err)
				}
			})
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, CodeInvalidRequest) },
				WithGeneration(g), WithHTTPClient(&http.Client{Transport: checked}))
			key, token := c.cred, testToken(t)
			for _, op := range slices.Concat(operations, capsuleOnly, managed) {
				if c.cred = key; op.jwt {
					c.cred = token
				}
				if _, err := op.call(t.Context(), c); err == nil {
					t.Errorf("%s succeeds", op.name)
				}
			}
			c.cred = key
			for name, call := range streams {
				if err := call(t.Context(), c); err == nil {
					t.Errorf("%s succeeds", name)
				}
			}
			for name, call := range capsuleStreams {
				if err := call(t.Context(), c); err == nil || errors.Is(err, ErrUnsupported) != (g == GenerationSandboxes) {
					t.Errorf("%s: %v", name, err)
				}
			}
			seen := checked.Seen()
			for _, op := range terms.Operations() {
				if slices.Contains(op.Generations, string(g)) && seen[op.ID] == nil {
					t.Errorf("no method asks for %s", op.ID)
				}
			}
		})
	}
}
