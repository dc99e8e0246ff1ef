package wrenn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// newHTTPClients returns the clients for REST calls and for streams. They have pools of their own, so that streams, which
// last for minutes, never hold up a call that takes milliseconds.
func newHTTPClients(s settings) (rest, streams *http.Client) {
	restTransport := s.transport
	if restTransport == nil {
		restTransport = newTransport(s.roots)
	}
	streamTransport := s.streamTransport
	if streamTransport == nil {
		streamTransport = forStreams(restTransport)
	}
	return refuseRedirects(restTransport), refuseRedirects(streamTransport)
}

// newTransport trusts roots, nil meaning the system's. It has no limit on the time to the response header: a create
// answers when the microVM runs.
func newTransport(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{
		Timeout:         10 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 4},
	}
	var tlsConfig *tls.Config
	if roots != nil {
		tlsConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Transport{
		TLSClientConfig:        tlsConfig,
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           128,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// forStreams copies an *http.Transport into one that speaks HTTP/1.1 only, as a WebSocket upgrade needs.
func forStreams(rt http.RoundTripper) http.RoundTripper {
	t, ok := rt.(*http.Transport)
	if !ok {
		return rt
	}
	t = t.Clone()
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.NextProtos = nil
	}
	return t
}

// refuseRedirects makes a client that hands back a redirect instead of following it: the credential goes to the one
// server that it was given for.
func refuseRedirects(rt http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// departure watches whether a request can have left the machine.
type departure struct {
	traced    bool
	asked     atomic.Bool
	connected atomic.Bool
}

func watchDeparture(ctx context.Context, rt http.RoundTripper) (context.Context, *departure) {
	d := &departure{}
	_, d.traced = rt.(*http.Transport)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { d.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { d.connected.Store(true) },
	}), d
}

// left reports whether the request may have left. Nothing leaves without a connection; a transport that tells nothing of
// its connections gets the benefit of no doubt.
func (d *departure) left() bool {
	return d.connected.Load() || !d.traced && !d.asked.Load()
}
