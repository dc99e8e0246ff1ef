package wrenn

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
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
	limits          Limits
	logger          *slog.Logger
	observer        func(op string, took time.Duration, err error)
	// roots are the certificates trusted in place of the system's; faults is what is wrong with the options.
	roots  *x509.CertPool
	faults []error
}

func newSettings(opts []Option) (settings, error) {
	s := settings{
		userAgent: "wrenn-go", requestTimeout: defaultRequestTimeout, limits: defaultLimits, logger: slog.New(slog.DiscardHandler),
		observer: func(string, time.Duration, error) {},
	}
	for _, opt := range opts {
		opt(&s)
	}
	switch s.generation {
	case "", GenerationSandboxes, GenerationCapsules:
	default:
		s.fault("unknown generation: want %q or %q", GenerationSandboxes, GenerationCapsules)
	}
	if s.proxyDomain != "" && !validAuthority(s.proxyDomain) {
		s.fault("the proxy domain must be a host name, with a port if needed")
	}
	if s.roots != nil && s.transport != nil {
		s.fault("a CA bundle and an HTTP client exclude each other: set the root certificates of its transport")
	}
	return s, errors.Join(s.faults...)
}

func (s *settings) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Errorf("wrenn: "+format, args...))
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
// their own so that they cannot starve the other calls, and a copy of it for the ports of sandboxes. It must speak
// HTTP/1.1.
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

// Limits bound what is read into memory of one answer or one message of a stream, in bytes; zero keeps the default. What
// is larger is ErrResponseTooLarge.
type Limits struct {
	// ObjectBytes is for an answer about one thing; 1 MiB.
	ObjectBytes int64
	// ListBytes is for lists, of which only that of the audit log has pages; 64 MiB.
	ListBytes int64
	// ExecBytes is for the output of an Exec as it is encoded in the answer; 64 MiB.
	ExecBytes int64
	// DownloadBytes is for a Download that is given no limit of its own; 64 MiB.
	DownloadBytes int64
	// ErrorBytes is for the answer of a call that failed; 64 KiB.
	ErrorBytes int64
	// FrameBytes is for one message of a stream; 1 MiB. The service sends output in pieces of up to 32 KiB, which JSON can
	// make six times as long.
	FrameBytes int64
}

var defaultLimits = Limits{
	ObjectBytes: 1 << 20, ListBytes: 64 << 20, ExecBytes: 64 << 20, DownloadBytes: 64 << 20, ErrorBytes: 64 << 10, FrameBytes: 1 << 20,
}

// WithLimits sets other limits than the defaults. Negative ones are refused by New.
func WithLimits(l Limits) Option {
	return func(s *settings) {
		if min(l.ObjectBytes, l.ListBytes, l.ExecBytes, l.DownloadBytes, l.ErrorBytes, l.FrameBytes) < 0 {
			s.fault("a limit is negative")
		}
		s.limits = Limits{
			ObjectBytes:   cmp.Or(l.ObjectBytes, defaultLimits.ObjectBytes),
			ListBytes:     cmp.Or(l.ListBytes, defaultLimits.ListBytes),
			ExecBytes:     cmp.Or(l.ExecBytes, defaultLimits.ExecBytes),
			DownloadBytes: cmp.Or(l.DownloadBytes, defaultLimits.DownloadBytes),
			ErrorBytes:    cmp.Or(l.ErrorBytes, defaultLimits.ErrorBytes),
			FrameBytes:    cmp.Or(l.FrameBytes, defaultLimits.FrameBytes),
		}
	}
}

// WithCABundle has the server's certificate checked against these PEM certificates in place of the system's. New refuses a
// bundle without a certificate, and one together with WithHTTPClient.
func WithCABundle(pem []byte) Option {
	return func(s *settings) {
		s.roots = x509.NewCertPool()
		if !s.roots.AppendCertsFromPEM(pem) {
			s.fault("the CA bundle holds no PEM certificate")
		}
	}
}

// WithLogger has each request told at level debug: its operation, method and duration, and how it failed. No body, no
// header and no address is.
func WithLogger(l *slog.Logger) Option {
	return func(s *settings) {
		if l != nil {
			s.logger = l
		}
	}
}

// WithObserver has fn told of each request, retries and the openings of streams included, when its answer begins or it has
// failed: the operation, as errors name it, how long that took, and the failure. fn must not block.
func WithObserver(fn func(op string, took time.Duration, err error)) Option {
	return func(s *settings) {
		if fn != nil {
			s.observer = fn
		}
	}
}
