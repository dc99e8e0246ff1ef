package wrenn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"

	"github.com/coder/websocket"
)

var kernelIDForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// errNoKernel: the server has no kernel of the id.
var errNoKernel = errors.New("the kernel is gone")

// jupyter is the Jupyter server of one sandbox, by way of the port proxy.
type jupyter struct {
	*portTransport

	hc *http.Client
}

func (h *SandboxHandle) jupyter(ctx context.Context, op string, port int) (*jupyter, error) {
	t, err := h.portTransport(ctx, op, port)
	if err != nil {
		return nil, err
	}
	return &jupyter{portTransport: t, hc: refuseRedirects(t)}, nil
}

// kernelModel is a kernel as the server lists it. The name is that of its kernel spec.
type kernelModel struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	State string `json:"execution_state"`
}

// findKernel returns the id of the first living kernel of a kernel spec, as the service's own SDK does, so that all users
// of a sandbox share it, or of a new one.
func (j *jupyter) findKernel(ctx context.Context, spec string) (string, error) {
	var kernels []kernelModel
	if err := j.ask(ctx, http.MethodGet, "/api/kernels", nil, http.StatusOK, &kernels); err != nil {
		return "", err
	}
	for _, k := range kernels {
		if k.Name == spec && k.State != stateDead && kernelIDForm.MatchString(k.ID) {
			return k.ID, nil
		}
	}
	// A server fails over a name that it does not know as over anything else: whoever wants one has to look first.
	var specs struct {
		Specs map[string]json.RawMessage `json:"kernelspecs"`
	}
	if err := j.ask(ctx, http.MethodGet, "/api/kernelspecs", nil, http.StatusOK, &specs); err != nil {
		return "", err
	}
	if _, known := specs.Specs[spec]; !known {
		return "", &Error{Op: j.op, Err: ErrUnknownLanguage}
	}
	var made kernelModel
	if err := j.ask(ctx, http.MethodPost, "/api/kernels", jsonBody(kernelName{spec}), http.StatusCreated, &made); err != nil {
		return "", err
	}
	if !kernelIDForm.MatchString(made.ID) {
		return "", j.invalid(http.StatusCreated)
	}
	return made.ID, nil
}

type kernelName struct {
	Name string `json:"name"`
}

// interrupt stops what the kernel runs, whosever it is.
func (j *jupyter) interrupt(ctx context.Context, id string) error {
	return j.ask(ctx, http.MethodPost, "/api/kernels/"+id+"/interrupt", nil, http.StatusNoContent, nil)
}

// ask sends a request once and reads the JSON of a success into a value, if there is one.
func (j *jupyter) ask(ctx context.Context, method, path string, body []byte, want int, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return invalidArgument(j.op, "the request cannot be built")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := j.hc.Do(req)
	if err != nil {
		return ownError(ctx, j.op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		return j.c.proxyRefusal(j.op, resp)
	}
	answer, err := readLimited(resp.Body, j.c.settings.limits.ObjectBytes)
	switch {
	case errors.Is(err, ErrResponseTooLarge):
		return &Error{Op: j.op, StatusCode: resp.StatusCode, Err: ErrResponseTooLarge}
	case err != nil:
		return transportFailure(ctx, j.op, err)
	case into != nil && json.Unmarshal(answer, into) != nil:
		return j.invalid(resp.StatusCode)
	}
	return nil
}

func (j *jupyter) invalid(status int) *Error {
	return &Error{Op: j.op, StatusCode: status, Message: "not the answer of a Jupyter server", Err: ErrInvalidResponse}
}

// channels opens the WebSocket to all channels of a kernel. The server puts the session into what it says itself.
func (j *jupyter) channels(ctx context.Context, id, session string) (*websocket.Conn, error) {
	conn, err := j.dial(ctx, &url.URL{
		Path: "/api/kernels/" + id + "/channels", RawQuery: url.Values{"session_id": {session}}.Encode(),
	}, &websocket.DialOptions{})
	var e *Error
	if errors.As(err, &e) && e.StatusCode == http.StatusNotFound && !errors.Is(e, ErrProxyNotFound) {
		e.Message, e.Err = errNoKernel.Error(), errors.Join(ErrInvalidResponse, errNoKernel)
	}
	if err != nil {
		return nil, err
	}
	// What is too large is skipped without losing the connection: see cell.message.
	conn.SetReadLimit(-1)
	return conn, nil
}
