package wrenn

// URL returns the address at which the service's proxy serves a TCP port of the guest: the scheme of the base URL and the
// host "{port}-{id}.{domain}". The domain is the one of WithProxyDomain, or else the host and port of the base URL, for
// which a wildcard DNS name must exist; a loopback address becomes "localhost", and any other IP address is an error.
//
// Servers of generation Sandboxes want the team's API key there and pass it on into the guest; those of generation
// Capsules ask for nothing.
func (h *SandboxHandle) URL(port int) (string, error) { return "", errNotYet }
