package wrenn

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
)

// What the management operations have in common: they take a JWT and no API key, have the same paths in both generations,
// and are answered at once.

// idPrefix is how the ids of one kind begin.
type idPrefix string

const (
	prefixAPIKey  idPrefix = "key-"
	prefixAudit   idPrefix = "log-"
	prefixBuild   idPrefix = "bld-"
	prefixChannel idPrefix = "ch-"
	prefixHost    idPrefix = "host-"
	prefixTeam    idPrefix = "team-"
	prefixUser    idPrefix = "usr-"
)

var idDigits = regexp.MustCompile(`^[0-9a-z]{25}$`)

// valid reports whether id has the form of the kind: the prefix and 25 lowercase base36 digits.
func (p idPrefix) valid(id string) bool {
	digits, ok := strings.CutPrefix(id, string(p))
	return ok && idDigits.MatchString(digits)
}

// check keeps a malformed id off the wire, where it would be part of a path.
func (p idPrefix) check(op, id string) error {
	if !p.valid(id) {
		return invalidArgument(op, "the id is malformed: want %q and 25 lowercase base36 digits", string(p))
	}
	return nil
}

// checkSegment keeps a text that would end its path segment, or leave it, off the wire.
func checkSegment(op, what, text string) error {
	if text == "" || text == "." || text == ".." || len(text) > maxSegmentBytes || strings.ContainsFunc(text, breaksSegment) {
		return invalidArgument(op, "the %s must have 1 to %d bytes, no slash and no control character", what, maxSegmentBytes)
	}
	return nil
}

const maxSegmentBytes = 256

func breaksSegment(r rune) bool { return r == '/' || r < ' ' || r == 0x7f }

// managed prepares a management call.
func (c *Client) managed(ctx context.Context, k call) (call, error) {
	if !k.anonymous && c.cred.header != headerJWT {
		return call{}, &Error{Op: k.op, Message: "the operation takes a JWT, and no API key", Err: ErrUnauthenticated}
	}
	if k.only != "" {
		g, err := c.Generation(ctx)
		if err != nil {
			return call{}, toldAs(k.op, err)
		}
		if g != k.only {
			return call{}, unsupported(k.op)
		}
	}
	k.effect = k.method != http.MethodGet
	if k.limit == 0 {
		k.limit = c.settings.limits.ObjectBytes
	}
	if k.budget == 0 {
		k.budget = c.settings.requestTimeout
	}
	return k, nil
}

// managedFetch does a management call and converts what comes back.
func managedFetch[Wire, T any](ctx context.Context, c *Client, k call, convert func(*Wire) (T, error)) (T, error) {
	k, err := c.managed(ctx, k)
	if err != nil {
		var none T
		return none, err
	}
	return fetch(ctx, c, k, convert)
}

// managedDo does a management call that answers with nothing.
func (c *Client) managedDo(ctx context.Context, k call) error {
	k, err := c.managed(ctx, k)
	if err != nil {
		return err
	}
	k.want = http.StatusNoContent
	_, err = c.do(ctx, k)
	return err
}

// listOf converts every entry of a list. One that cannot be understood fails the whole list, since a list with a hole
// would be taken for an absence.
func listOf[Wire, T any](convert func(*Wire) (*T, error)) func(*[]Wire) ([]T, error) {
	return func(w *[]Wire) ([]T, error) {
		out := make([]T, 0, len(*w))
		for i := range *w {
			v, err := convert(&(*w)[i])
			if err != nil {
				return nil, err
			}
			out = append(out, *v)
		}
		return out, nil
	}
}

// named refuses an answer about anything else than what was asked for.
func named[Wire, T any](id string, idOf func(*T) string, convert func(*Wire) (*T, error)) func(*Wire) (*T, error) {
	return func(w *Wire) (*T, error) {
		v, err := convert(w)
		if err == nil && idOf(v) != id {
			return nil, errors.New("the answer is about something else than what was asked for")
		}
		return v, err
	}
}

var errNoID = errors.New("the answer has no valid id")

// toldAs makes a failure of the detection that of the operation that needed it; nothing was sent of that.
func toldAs(op string, err error) error {
	var e *Error
	if errors.As(err, &e) {
		told := *e
		told.Op = op
		return &told
	}
	return err
}
