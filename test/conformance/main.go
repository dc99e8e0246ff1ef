// Command conformance runs one suite against a Wrenn server of either generation, embedded or real: every operation of
// the API, every error code that a client can provoke, and the awkward parts of the service's behavior.
//
//	WRENN_BASE_URL=… WRENN_API_KEY=… [WRENN_TOKEN=…] go run ./test/conformance
//
// It prints a line for each check, "pass", "fail" or "skip" with a note, and at last "N passed, N failed, N skipped". The
// exit code is 1 when something failed, nothing could be tried, or the run was interrupted. What it makes it removes, also
// when a check fails and when it is interrupted. It assumes nothing of what else the team has, and leaves that alone.
//
// Exchanges that openapi.yaml does not allow are told on the standard error, and fail nothing: a server may know more than
// this project does.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenn/contract"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	total, err := run(ctx, os.Getenv, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
	}
	if err != nil || ctx.Err() != nil || total.failed > 0 || total.passed == 0 {
		os.Exit(1)
	}
}

// run reads the environment and runs the suite.
func run(ctx context.Context, getenv func(string) string, stdout, stderr io.Writer) (tally, error) {
	o, err := optionsFrom(getenv)
	if err != nil {
		return tally{}, err
	}
	terms, err := contract.Load() //nolint:contextcheck // It reads a file.
	if err != nil {
		return tally{}, err
	}
	base, err := url.Parse(o.baseURL)
	if err != nil {
		return tally{}, errors.New("WRENN_BASE_URL cannot be parsed")
	}
	own := newTransport()
	defer own.CloseIdleConnections()
	checked := terms.NewTransport(own, base.Path, func(err error) { fmt.Fprintln(stderr, "beyond the contract:", err) })
	o.strict, o.loose = checked, checked.AnswersOnly()
	s, err := newSuite(ctx, o)
	if err != nil {
		// The report has its form whatever happens.
		var total tally
		total.line(stdout, result{failed, "server", err.Error()})
		total.close(stdout)
		return total, nil
	}
	return s.run(ctx, checks(), stdout), nil
}

// options say what to run against, and how.
type options struct {
	baseURL string
	// key opens the sandboxes; token, without which much is skipped, everything else; second is the token of another user.
	key, token, second string
	// email and password log the token's user in, and can stand for the token.
	email, password string
	proxyDomain     string
	// slow has also what takes minutes, or much traffic, be checked.
	slow bool
	// disposable allows what cannot be undone at every server, such as to make an account.
	disposable bool
	// mail returns the token of the latest mail to an address, where there is a way to read it; agree does in place of a
	// browser what connects a user with a provider.
	mail  func(address string) string
	agree func(ctx context.Context, url string) error
	// strict carries what keeps the contract, loose what breaks it on purpose. Both speak HTTP/1.1.
	strict, loose http.RoundTripper
}

func optionsFrom(getenv func(string) string) (options, error) {
	o := options{
		baseURL: getenv("WRENN_BASE_URL"), proxyDomain: getenv("WRENN_PROXY_DOMAIN"), key: getenv("WRENN_API_KEY"),
		token: getenv("WRENN_TOKEN"), second: getenv("WRENN_SECOND_TOKEN"), email: getenv("WRENN_EMAIL"), password: getenv("WRENN_PASSWORD"),
		slow: getenv("WRENN_SLOW") == "1", disposable: getenv("WRENN_DISPOSABLE") == "1",
	}
	if o.baseURL == "" || o.key == "" {
		return o, errors.New("WRENN_BASE_URL and WRENN_API_KEY are not both set")
	}
	if _, err := wrenn.APIKey(o.key); err != nil {
		return o, fmt.Errorf("WRENN_API_KEY: %w", err)
	}
	for name, token := range map[string]string{"WRENN_TOKEN": o.token, "WRENN_SECOND_TOKEN": o.second} {
		if _, err := wrenn.JWT(token); token != "" && err != nil {
			return o, fmt.Errorf("%s: %w", name, err)
		}
	}
	return o, nil
}

// newTransport speaks HTTP/1.1 only, as an upgrade needs.
func newTransport() *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 16, Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(true)
	return t
}
