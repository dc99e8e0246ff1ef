package wrenn

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
)

// URL returns the address at which the service's proxy serves a TCP port of the guest: the scheme of the base URL and the
// host "{port}-{id}.{domain}". The domain is the one of WithProxyDomain, or else the host and port of the base URL, for
// which a wildcard DNS name must exist; a loopback address becomes "localhost", and any other IP address is an error.
//
// Servers of generation Sandboxes want the team's API key there and pass it on into the guest; those of generation
// Capsules ask for nothing.
func (h *SandboxHandle) URL(port int) (string, error) {
	const op = "sandboxes.url"
	if err := checkID(op, h.id); err != nil {
		return "", err
	}
	if port < 1 || port > 65535 {
		return "", invalidArgument(op, "the port must be 1 to 65535")
	}
	domain := h.c.settings.proxyDomain
	if domain == "" {
		var err error
		if domain, err = proxyDomainOf(h.c.base); err != nil {
			return "", invalidArgument(op, "%v", err)
		}
	}
	return h.c.base.Scheme + "://" + strconv.Itoa(port) + "-" + h.id + "." + domain, nil
}

// proxyDomainOf derives the domain of the proxy from the base URL, as the service's own SDKs do, but for IP addresses: no
// name below one resolves.
func proxyDomainOf(base *url.URL) (string, error) {
	host := base.Hostname()
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
	case addr.IsLoopback():
		host = "localhost"
	default:
		return "", errors.New("the base URL has an IP address, below which no name resolves: set the proxy domain")
	}
	if port := base.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	return host, nil
}
