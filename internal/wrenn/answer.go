package wrenn

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

const (
	maxMessageBytes   = 512
	maxRequestIDBytes = 128
	// minHidden is the shortest secret that is hidden: shorter texts are no secrets, and occur in any other.
	minHidden = 8
	// unknownRoute is how the service's router answers a route that it does not have.
	unknownRoute = "404 page not found"
)

var codeForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// readLimited reads at most limit bytes, and fails with ErrResponseTooLarge when there are more.
func readLimited(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if int64(len(body)) > limit {
		return nil, ErrResponseTooLarge
	}
	return body, err
}

// refusal makes the error of an answer that is not the success wanted. Its status is never the wanted one.
func (c *Client) refusal(ctx context.Context, k call, resp *http.Response) *Error {
	body, err := readLimited(resp.Body, c.settings.limits.ErrorBytes)
	e := &Error{
		Op: k.op, StatusCode: resp.StatusCode, RetryAfter: retryAfter(resp.Header),
		RequestID: c.presentable(resp.Header.Get("X-Request-Id"), maxRequestIDBytes, k.hide...),
	}
	switch {
	case resp.StatusCode < 300:
		e.Message, e.Err = "unexpected status of a success", ErrInvalidResponse
	case resp.StatusCode < 400:
		e.Message, e.Err = "the server redirects elsewhere, which is refused", ErrRedirected
	case errors.Is(err, ErrResponseTooLarge):
		e.Err = ErrResponseTooLarge
	case err != nil:
		cut := transportFailure(ctx, k.op, err)
		e.Message, e.Err = cut.Message, cut.Err
	case isUnknownRoute(resp, body):
		e.Message, e.Err = "the server does not know the route", ErrWrongGeneration
	default:
		c.readErrorBody(e, body, k.hide)
	}
	e.Ambiguous = k.effect && !e.clear()
	return e
}

// clear reports that the answer excludes an effect: a 4xx in the service's own protocol, or an unknown route. A 408 tells
// only that someone gave up waiting.
func (e *Error) clear() bool {
	if errors.Is(e.Err, ErrWrongGeneration) {
		return true
	}
	return e.Code != "" && e.StatusCode >= 400 && e.StatusCode < 500 && e.StatusCode != http.StatusRequestTimeout
}

// readErrorBody fills in what the service says in its own protocol. Anything else leaves the code empty.
func (c *Client) readErrorBody(e *Error, body []byte, hide []string) {
	var wire api.Error
	err := json.Unmarshal(body, &wire)
	code := wire.Error.Code
	// A code that is not presentable holds the credential: no service's word.
	if err != nil || !codeForm.MatchString(code) || c.presentable(code, len(code), hide...) != code {
		e.Message, e.Err = "not an answer of the service", ErrInvalidResponse
		return
	}
	e.Code = Code(code)
	e.Message = c.presentable(wire.Error.Message, maxMessageBytes, hide...)
	for _, id := range wire.Error.SandboxIds {
		if ValidSandboxID(id) {
			e.SandboxIDs = append(e.SandboxIDs, id)
		}
	}
}

func isUnknownRoute(resp *http.Response, body []byte) bool {
	if resp.StatusCode != http.StatusNotFound {
		return false
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && media == "text/plain" && strings.TrimSpace(string(body)) == unknownRoute
}

// presentable makes a server's text fit to be shown: without the credential and what else is to be hidden, should the
// server send it back, on one line, valid UTF-8 and short.
func (c *Client) presentable(text string, limit int, hide ...string) string {
	if !c.cred.IsZero() {
		text = strings.ReplaceAll(text, c.cred.reveal(), redacted)
	}
	for _, secret := range hide {
		if len(secret) >= minHidden {
			text = strings.ReplaceAll(text, secret, redacted)
		}
	}
	return legible(text, limit)
}

// legible makes a text one line of valid UTF-8 that is short.
func legible(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return beginning(text, limit)
}

// beginning cuts a text after limit bytes, or before the character that does not fit.
func beginning(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	cut := max(0, limit)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut]
}

// retryAfter reads both forms of the Retry-After header.
func retryAfter(h http.Header) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at).Round(time.Second))
	}
	return 0
}
