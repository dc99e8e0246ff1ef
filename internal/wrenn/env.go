package wrenn

import (
	"errors"
	"os"
)

// The environment variables that NewFromEnv reads.
const (
	// EnvAPIKey holds the API key. It is required.
	EnvAPIKey = "WRENN_API_KEY" //nolint:gosec // G101: the name of a variable
	// EnvBaseURL holds the base URL; DefaultBaseURL is used where it is unset or empty.
	EnvBaseURL = "WRENN_BASE_URL"
	// EnvProxyDomain holds the domain of the port proxy, as WithProxyDomain takes it.
	EnvProxyDomain = "WRENN_PROXY_DOMAIN"
)

// DefaultBaseURL is the base URL of the public service.
const DefaultBaseURL = "https://app.wrenn.dev/api"

// NewFromEnv returns a client for a tool that is configured by its environment. Options win over the environment.
func NewFromEnv(opts ...Option) (*Client, error) {
	key := os.Getenv(EnvAPIKey)
	if key == "" {
		return nil, errors.New("wrenn: " + EnvAPIKey + " is not set")
	}
	cred, err := APIKey(key)
	if err != nil {
		return nil, err
	}
	base := os.Getenv(EnvBaseURL)
	if base == "" {
		base = DefaultBaseURL
	}
	return New(base, cred, append([]Option{WithProxyDomain(os.Getenv(EnvProxyDomain))}, opts...)...)
}
