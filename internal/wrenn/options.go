package wrenn

import (
	"context"
	"net/http"
	"time"
)

// defaultRequestTimeout bounds calls that the service answers at once.
const defaultRequestTimeout = 30 * time.Second

// Limiter holds calls back. It is consulted before each REST request, a retry included; WebSocket streams are not
// counted. golang.org/x/time/rate.Limiter is one.
type Limiter interface {
	// Wait returns when the request may be sent, or with the reason why it may not.
	Wait(ctx context.Context) error
}

// Option configures a Client.
type Option func(*settings)

type settings struct {
	transport       http.RoundTripper
	streamTransport http.RoundTripper
	generation      Generation
	userAgent       string
	proxyDomain     string
	requestTimeout  time.Duration
	limiter         Limiter
}

// WithHTTPClient takes the transport of hc, which is shared, never closed, and should not limit the time to the response
// header: a create answers when the microVM runs. The other fields of hc are not used: redirects are always refused,
// cookies are not kept, and time limits are those of the context and of WithRequestTimeout. Streams use a copy of an
// *http.Transport, restricted to HTTP/1.1, and any other transport as it is.
func WithHTTPClient(hc *http.Client) Option {
	return func(s *settings) {
		if hc != nil {
			s.transport = hc.Transport
			if s.transport == nil {
				s.transport = http.DefaultTransport
			}
		}
	}
}

// WithStreamHTTPClient takes the transport of hc for WebSocket and file streams, which by default have connections of
// their own so that they cannot starve the other calls. It must speak HTTP/1.1.
func WithStreamHTTPClient(hc *http.Client) Option {
	return func(s *settings) {
		if hc != nil && hc.Transport != nil {
			s.streamTransport = hc.Transport
		}
	}
}

// WithGeneration says which generation the server speaks, so that it is not detected.
func WithGeneration(g Generation) Option { return func(s *settings) { s.generation = g } }

// WithUserAgent sets the User-Agent header; the default is "wrenn-go".
func WithUserAgent(agent string) Option {
	return func(s *settings) {
		if agent != "" {
			s.userAgent = agent
		}
	}
}

// WithProxyDomain sets the domain under which the server's port proxy is reached, with its port where it has one. The
// default is the host and port of the base URL.
func WithProxyDomain(domain string) Option { return func(s *settings) { s.proxyDomain = domain } }

// WithRequestTimeout bounds each call that the service answers at once, its retries included; the default is 30 s. It
// does not apply to what takes the time it takes: create, pause, resume, snapshot, and file transfers; and an exec gets
// it on top of its own timeout.
func WithRequestTimeout(d time.Duration) Option {
	return func(s *settings) {
		if d > 0 {
			s.requestTimeout = d
		}
	}
}

// WithRateLimit has l consulted before each REST request; nil means no limit.
func WithRateLimit(l Limiter) Option { return func(s *settings) { s.limiter = l } }
