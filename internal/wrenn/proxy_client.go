package wrenn

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// HTTPClient returns a client whose requests go to a TCP port of the guest, through the service's proxy. A URL is either
// relative, like "/status?full=1", or has the scheme and host of URL(port): a request for anything else is
// ErrInvalidArgument and not sent. Failures to get an answer are *Error, inside the *url.Error that http.Client makes of
// every failure.
//
// Servers of generation Sandboxes want the team's API key with each request and pass it on: THE API KEY REACHES THE CODE
// THAT LISTENS IN THE GUEST, which can then do all that the team can. Forward only to code that is trusted with it. A
// client without an API key is ErrUnauthenticated there, before anything is sent. To servers of generation Capsules no
// credential is sent at all, and anybody who knows the URL can do the same.
//
// Answers are handed on as they are, the proxy's own among them: those are plain text, with 400, 404 for a sandbox that it
// does not know, 409 for one that does not run, 502 when nothing listens on the port, and 503 when the sandbox is out of
// reach, which is also what callers get for up to two minutes after a pause. The guest can answer the same. Redirects
// are not followed. The returned client has no time limit, and no cookie jar; its connections are those of c, in a pool
// for ports alone, and speak HTTP/1.1. The context is for finding out the server's generation and not kept.
//
// Traffic through the proxy does not count as activity: a sandbox with an idle timeout is paused under it unless Ping or
// something else that counts is called.
func (h *SandboxHandle) HTTPClient(ctx context.Context, port int) (*http.Client, error) {
	t, err := h.portTransport(ctx, "sandboxes.http_client", port)
	if err != nil {
		return nil, err
	}
	return refuseRedirects(t), nil
}

// portTransport sends requests to one port of one sandbox, and to nothing else.
type portTransport struct {
	c      *Client
	op     string
	target *url.URL
}

func (h *SandboxHandle) portTransport(ctx context.Context, op string, port int) (*portTransport, error) {
	target, err := h.portURL(op, port)
	if err != nil {
		return nil, err
	}
	if _, err := h.c.proxyCredential(ctx, op); err != nil {
		return nil, err
	}
	return &portTransport{c: h.c, op: op, target: target}, nil
}

// proxyCredential is what the proxy has to be sent. It is asked for with each request, since a server can change its
// generation, and one of generation Capsules must never see the key.
func (c *Client) proxyCredential(ctx context.Context, op string) (Credential, error) {
	g, err := c.Generation(ctx)
	switch {
	case err != nil:
		return Credential{}, toldAs(op, err)
	case g == GenerationCapsules:
		return Credential{}, nil
	case c.cred.header != headerAPIKey:
		return Credential{}, &Error{Op: op, Message: "the port proxy takes an API key, and no JWT", Err: ErrUnauthenticated}
	}
	return c.cred, nil
}

// RoundTrip sends a request with what the proxy demands. The request that the response names is without that.
func (t *portTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	shown, err := t.direct(req)
	var cred Credential
	if err == nil {
		cred, err = t.c.proxyCredential(req.Context(), t.op)
	}
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	sent := shown.Clone(req.Context())
	cred.authorize(sent.Header)
	began := time.Now()
	resp, err := t.c.ports.Transport.RoundTrip(sent)
	var e *Error
	if err != nil {
		e = transportFailure(req.Context(), t.op, err)
	}
	t.c.told(req.Context(), call{op: t.op, method: req.Method}, began, e)
	if e != nil {
		return nil, e
	}
	resp.Request = shown
	return resp, nil
}

// direct copies a request into one for the target.
func (t *portTransport) direct(req *http.Request) (*http.Request, error) {
	u, err := t.resolve(req.URL)
	if err != nil {
		return nil, err
	}
	// The proxy goes by the Host header: with another one the request would reach something else.
	if req.Host != "" && !t.isTarget(req.Host) {
		return nil, t.elsewhere()
	}
	out := req.Clone(req.Context())
	out.URL, out.Host = u, ""
	if out.Header == nil {
		out.Header = http.Header{}
	}
	if _, given := out.Header["User-Agent"]; !given {
		out.Header.Set("User-Agent", t.c.settings.userAgent)
	}
	return out, nil
}

// resolve makes the URL of the target from a relative one, or from one that names the target.
func (t *portTransport) resolve(ref *url.URL) (*url.URL, error) {
	// An opaque URL is written into the request as it is, whatever host it names.
	if ref == nil || ref.Opaque != "" {
		return nil, t.elsewhere()
	}
	if ref.Scheme != "" && (ref.Scheme != t.target.Scheme || ref.Host == "") || ref.Host != "" && !t.isTarget(ref.Host) {
		return nil, t.elsewhere()
	}
	u := *t.target
	u.Path, u.RawPath, u.RawQuery, u.ForceQuery = ref.Path, ref.RawPath, ref.RawQuery, ref.ForceQuery
	if !strings.HasPrefix(u.Path, "/") {
		u.Path = "/" + u.Path
		if u.RawPath != "" {
			u.RawPath = "/" + u.RawPath
		}
	}
	return &u, nil
}

func (t *portTransport) isTarget(authority string) bool {
	return t.normalized(authority) == t.normalized(t.target.Host)
}

// normalized leaves out what does not make another authority: letter case and the scheme's own port.
func (t *portTransport) normalized(authority string) string {
	usual := map[string]string{"http": ":80", "https": ":443"}[t.target.Scheme]
	return strings.TrimSuffix(strings.ToLower(authority), usual)
}

func (t *portTransport) elsewhere() *Error {
	return invalidArgument(t.op, "the request is not for this port of the sandbox")
}

// ownError finds the *Error inside what a client of this package's transports returns.
func ownError(ctx context.Context, op string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return transportFailure(ctx, op, err)
}
