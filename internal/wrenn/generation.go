package wrenn

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
)

// Generation is a generation of the API.
type Generation string

// The generations of the API.
const (
	// GenerationSandboxes serves its sandboxes under /v1/sandboxes.
	GenerationSandboxes Generation = "Sandboxes"
	// GenerationCapsules serves its sandboxes under /v1/capsules.
	GenerationCapsules Generation = "Capsules"
)

// prefix is the path below which the generation serves its sandboxes.
func (g Generation) prefix() string {
	if g == GenerationCapsules {
		return "/v1/capsules"
	}
	return "/v1/sandboxes"
}

// probeID has the form of a sandbox id and is none: asking for it costs the service one look at one row.
const probeID = "cl-0000000000000000000000000"

// generation is what a client knows of its server's generation.
type generation struct {
	forced   Generation
	detected atomic.Pointer[Generation]
	// detecting holds one token: whoever has it asks, the others wait for the answer, each no longer than its context.
	detecting chan struct{}
}

func newGeneration(forced Generation) *generation {
	return &generation{forced: forced, detecting: make(chan struct{}, 1)}
}

func (g *generation) known() Generation {
	if g.forced != "" {
		return g.forced
	}
	if d := g.detected.Load(); d != nil {
		return *d
	}
	return ""
}

// Generation returns the generation that the server speaks: the one of WithGeneration, or else the one detected, which
// costs one or two requests once. A server that answers the routes of neither is ErrWrongGeneration; every other failure,
// like an unreachable server, says nothing of the generation and is returned as it is. A refused credential is no
// failure here: the refusal shows that the route exists.
func (c *Client) Generation(ctx context.Context) (Generation, error) {
	const op = "generation"
	g := c.generation
	if known := g.known(); known != "" {
		return known, nil
	}
	select {
	case g.detecting <- struct{}{}:
		defer func() { <-g.detecting }()
	case <-ctx.Done():
		return "", transportFailure(ctx, op, ctx.Err())
	}
	if known := g.known(); known != "" {
		return known, nil
	}
	for _, candidate := range []Generation{GenerationSandboxes, GenerationCapsules} {
		serves, err := c.serves(ctx, op, candidate)
		if err != nil {
			return "", err
		}
		if serves {
			g.detected.Store(&candidate)
			return candidate, nil
		}
	}
	return "", &Error{
		Op: op, StatusCode: http.StatusNotFound, Err: ErrWrongGeneration,
		Message: "the server has neither /v1/sandboxes nor /v1/capsules below the base URL",
	}
}

// serves asks whether the server has the routes of a generation.
func (c *Client) serves(ctx context.Context, op string, g Generation) (bool, error) {
	k := call{
		op: op, method: http.MethodGet, path: g.prefix() + "/" + probeID, want: http.StatusOK, limit: c.settings.limits.ObjectBytes,
		budget: c.settings.requestTimeout,
	}
	_, err := fetch(ctx, c, k, sandboxNamed(probeID))
	switch {
	case err == nil, IsRefusal(err):
		return true, nil
	case errors.Is(err, ErrWrongGeneration):
		return false, nil
	}
	return false, err
}

// sandboxCall prepares a call of a route below the generation's prefix.
func (c *Client) sandboxCall(ctx context.Context, k call) (call, error) {
	g, err := c.Generation(ctx)
	if err != nil {
		return call{}, toldAs(k.op, err)
	}
	if k.only != "" && k.only != g {
		return call{}, unsupported(k.op)
	}
	k.path = g.prefix() + k.path
	return k, nil
}

// unsupported is the error of an operation that the server's generation does not have. Nothing was sent of it.
func unsupported(op string) *Error { return &Error{Op: op, Err: ErrUnsupported} }

// learn forgets a detected generation when the server, updated since, does not know its routes any more: the next call
// detects anew.
func (c *Client) learn(err error) {
	if errors.Is(err, ErrWrongGeneration) {
		c.generation.detected.Store(nil)
	}
}
