package wrenn

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// forPorts copies an *http.Transport into one for the port proxy, whose names below "localhost" need no DNS: many
// resolvers do not know that all of them are this machine, and an HTTP proxy would look for them on its own. Any other
// transport is used as it is.
func forPorts(rt http.RoundTripper, base *url.URL) http.RoundTripper {
	t, ok := rt.(*http.Transport)
	if !ok {
		return rt
	}
	t = t.Clone()
	dial := t.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	addresses := loopbackOf(base)
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(addr)
		if err != nil || !belowLocalhost(host) {
			return dial(ctx, network, addr)
		}
		return dialFirst(ctx, dial, network, addresses, port)
	}
	if proxy := t.Proxy; proxy != nil {
		t.Proxy = func(req *http.Request) (*url.URL, error) {
			if belowLocalhost(req.URL.Hostname()) {
				return nil, nil
			}
			return proxy(req)
		}
	}
	return t
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// dialFirst connects to the first of the addresses that answers. The first failure is the one that is told.
func dialFirst(ctx context.Context, dial dialFunc, network string, addresses []string, port string) (net.Conn, error) {
	var first error
	for _, address := range addresses {
		conn, err := dial(ctx, network, net.JoinHostPort(address, port))
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// loopbackOf returns the addresses of names below "localhost". A base URL with a loopback address means that one alone:
// what listens on the other may be anybody's, and would be told the key.
func loopbackOf(base *url.URL) []string {
	if addr, err := netip.ParseAddr(base.Hostname()); err == nil && addr.IsLoopback() {
		return []string{addr.String()}
	}
	return []string{"127.0.0.1", "::1"}
}

func belowLocalhost(host string) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimSuffix(host, ".")), ".localhost")
}
