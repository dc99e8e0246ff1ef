package wrenn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

// maxAttempts is how often a GET or a DELETE is sent at most.
const maxAttempts = 3

// slowCallTimeout bounds calls that take the time they take. The service itself gives up an agent's call after ten
// minutes.
const slowCallTimeout = 11 * time.Minute

// pace is the rhythm of retries.
type pace struct {
	// base is the longest first pause; each later one is twice as long.
	base time.Duration
	// longest is how long a server may have a call wait; a call that would have to wait longer fails at once.
	longest time.Duration
}

var defaultPace = pace{base: 100 * time.Millisecond, longest: 5 * time.Second}

// call is one request of the API.
type call struct {
	op     string
	method string
	path   string
	query  url.Values
	// body is sent as JSON. form is sent as it is, once.
	body []byte
	form *form
	// want is the status that means success; also is another one, for what servers disagree about.
	want, also int
	// limit bounds the success body in bytes.
	limit int64
	// budget bounds the whole call, retries included; 0 leaves that to the context.
	budget time.Duration
	// effect: the call changes something at the service.
	effect bool
	// transfer: the call carries a file, on a connection of the streams.
	transfer bool
	// only is the one generation that has the operation, if it is one.
	only Generation
	// nullable: null stands for an empty success.
	nullable bool
	// anonymous: the call carries no credential.
	anonymous bool
	// hide are secrets of the request, which no error may show should the server send them back.
	hide []string
}

func (k call) repeatable() bool { return k.method == http.MethodGet || k.method == http.MethodDelete }

// do sends a call, and again where that is safe, and returns the body of a success.
func (c *Client) do(ctx context.Context, k call) ([]byte, error) {
	if k.budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, k.budget, errBudget)
		defer cancel()
	}
	ambiguous := false
	for attempt := 1; ; attempt++ {
		body, e := c.attempt(ctx, k)
		if e == nil {
			return body, nil
		}
		// An earlier attempt may have done what a later one says it could not.
		ambiguous = ambiguous || e.Ambiguous
		e.Ambiguous = ambiguous
		if !k.repeatable() || attempt == maxAttempts || !passing(e) {
			return nil, e
		}
		if !c.pause(ctx, attempt, e.RetryAfter) {
			if ctx.Err() != nil {
				e.Err = errors.Join(e.Err, endOf(ctx))
			}
			return nil, e
		}
	}
}

// passing reports whether a failure may be gone a moment later.
func passing(e *Error) bool {
	switch e.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return errors.Is(e.Err, ErrTransport)
}

// pause waits before the next attempt and reports whether there may be one.
func (c *Client) pause(ctx context.Context, attempt int, retryAfter time.Duration) bool {
	wait := retryAfter
	if wait == 0 {
		ceiling := c.pace.base << (attempt - 1)
		wait = ceiling/2 + rand.N(ceiling/2+1) //nolint:gosec // Jitter is no secret.
	}
	if wait > c.pace.longest || ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// attempt sends a call once and reads the whole answer.
func (c *Client) attempt(ctx context.Context, k call) ([]byte, *Error) {
	resp, e := c.send(ctx, k)
	if e != nil {
		return nil, e
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := readLimited(resp.Body, k.limit)
	if errors.Is(err, ErrResponseTooLarge) {
		return nil, &Error{Op: k.op, StatusCode: resp.StatusCode, Ambiguous: k.effect, Err: ErrResponseTooLarge}
	}
	if err != nil {
		e := transportFailure(ctx, k.op, err)
		e.StatusCode, e.Ambiguous = resp.StatusCode, k.effect
		return nil, e
	}
	return body, nil
}

// send sends a call once and returns a response with the status wanted, whose body the caller closes.
func (c *Client) send(ctx context.Context, k call) (*http.Response, *Error) {
	began := time.Now()
	resp, e := c.exchange(ctx, k)
	c.told(ctx, k, began, e)
	return resp, e
}

// told tells the logger and the observer of a request.
func (c *Client) told(ctx context.Context, k call, began time.Time, e *Error) {
	took := time.Since(began)
	attrs := []slog.Attr{slog.String("op", k.op), slog.String("method", k.method), slog.Duration("duration", took)}
	if e == nil {
		c.settings.observer(k.op, took, nil)
	} else {
		c.settings.observer(k.op, took, e)
		attrs = append(attrs, slog.String("request_id", e.RequestID), slog.String("error", e.Error()))
	}
	c.settings.logger.LogAttrs(ctx, slog.LevelDebug, "wrenn request", attrs...)
}

func (c *Client) exchange(ctx context.Context, k call) (*http.Response, *Error) {
	hc := c.rest
	if k.transfer {
		hc = c.streams
	}
	if ctx.Err() != nil {
		return nil, transportFailure(ctx, k.op, ctx.Err())
	}
	if l := c.settings.limiter; l != nil {
		if err := l.Wait(ctx); err != nil {
			return nil, &Error{Op: k.op, Message: "held back by the client's rate limit", Err: err}
		}
	}
	tctx, departed := watchDeparture(ctx, hc.Transport)
	req, err := c.request(tctx, k)
	if err != nil {
		return nil, invalidArgument(k.op, "the request cannot be built")
	}
	resp, err := hc.Do(req)
	if err != nil {
		e := transportFailure(ctx, k.op, err)
		if cause := k.form.failure(); cause != nil && ctx.Err() == nil {
			e.Message, e.Err = "reading the content failed", cause
		}
		e.Ambiguous = k.effect && departed.left()
		return nil, e
	}
	if resp.StatusCode == k.want || resp.StatusCode == k.also {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, c.refusal(ctx, k, resp)
}

func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	u := *c.base
	u.Path += k.path
	u.RawQuery = k.query.Encode()
	var body io.Reader
	if k.body != nil {
		body = bytes.NewReader(k.body)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", c.settings.userAgent)
	if k.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if k.form != nil {
		k.form.attach(req)
	}
	if !k.anonymous {
		c.cred.authorize(req.Header)
	}
	return req, nil
}

// jsonBody marshals what only this package builds: it has nothing that could fail.
func jsonBody(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic("wrenn: " + err.Error())
	}
	return body
}

// fetch does a call whose success is JSON and converts it. A body that is not what the contract promises, null included,
// is an invalid response.
func fetch[Wire, T any](ctx context.Context, c *Client, k call, convert func(*Wire) (T, error)) (T, error) {
	var none T
	body, err := c.do(ctx, k)
	if err != nil {
		return none, err
	}
	var wire *Wire
	if err := json.Unmarshal(body, &wire); err != nil || wire == nil && !k.nullable {
		return none, k.broken("the answer is not the JSON of the contract")
	}
	if wire == nil {
		wire = new(Wire)
	}
	v, err := convert(wire)
	if err != nil {
		return none, k.broken(err.Error())
	}
	return v, nil
}

// broken is the error of a success that cannot be understood: what was asked for may have happened.
func (k call) broken(message string) *Error {
	return &Error{Op: k.op, StatusCode: k.want, Message: message, Ambiguous: k.effect, Err: ErrInvalidResponse}
}
