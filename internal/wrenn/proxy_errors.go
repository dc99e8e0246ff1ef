package wrenn

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"

	"github.com/wrennhq/wrenn-operator/internal/wrenn/internal/api"
)

// What the port proxy says in plain text when DialWebSocket or RunCode meet it. Code in the guest can say the same, so
// that none of it is IsRefusal and none of it carries a Code: Get tells what is really the matter.
var (
	// ErrProxyUnauthorized: the proxy refuses the API key (401), which only servers of generation Sandboxes do.
	ErrProxyUnauthorized = errors.New("the port proxy refuses the API key")
	// ErrProxyNotFound: the proxy knows no such sandbox, or not as one of this team (404).
	ErrProxyNotFound = errors.New("the port proxy knows no such sandbox")
	// ErrProxyNotRunning: the sandbox is not running (409). For two minutes after a pause this is ErrProxyUnavailable.
	ErrProxyNotRunning = errors.New("the sandbox is not running")
	// ErrNothingListens: nothing listens on the port in the guest, or it broke off (502).
	ErrNothingListens = errors.New("nothing listens on the port")
	// ErrProxyUnavailable: the proxy cannot reach the sandbox (503).
	ErrProxyUnavailable = errors.New("the port proxy cannot reach the sandbox")
)

var proxySays = map[int]error{
	http.StatusNotFound:           ErrProxyNotFound,
	http.StatusConflict:           ErrProxyNotRunning,
	http.StatusBadGateway:         ErrNothingListens,
	http.StatusServiceUnavailable: ErrProxyUnavailable,
}

// proxyRefusal makes the error of an answer by way of the proxy that is not the success wanted. The words of the answer
// are not shown: they may be the guest's, and the proxy's own have addresses in them.
func (c *Client) proxyRefusal(op string, resp *http.Response) *Error {
	e := &Error{Op: op, StatusCode: resp.StatusCode}
	switch {
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		e.Message, e.Err = "the server redirects elsewhere, which is refused", ErrRedirected
	case resp.StatusCode == http.StatusUnauthorized && c.saysUnauthorized(resp):
		e.Err = ErrProxyUnauthorized
	case isPlainText(resp) && proxySays[resp.StatusCode] != nil:
		e.Err = proxySays[resp.StatusCode]
	default:
		e.Message, e.Err = "not the answer wanted of the server in the sandbox", ErrInvalidResponse
	}
	return e
}

// saysUnauthorized reports whether a 401 is in the service's protocol: the one refusal of the proxy that is.
func (c *Client) saysUnauthorized(resp *http.Response) bool {
	var wire api.Error
	body, err := readLimited(resp.Body, c.settings.limits.ErrorBytes)
	return err == nil && json.Unmarshal(body, &wire) == nil && Code(wire.Error.Code) == CodeUnauthorized
}

func isPlainText(resp *http.Response) bool {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return err == nil && media == "text/plain"
}
