package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// Transport is an http.RoundTripper that validates what passes through it. Bodies that are no JSON pass untouched, so that
// files stay streams and an upgraded connection works.
type Transport struct {
	contract *Contract
	base     http.RoundTripper
	prefix   string
	report   func(error)

	mu   sync.Mutex
	seen map[string]map[int]int
}

// NewTransport returns a Transport over base to servers whose routes are below the path prefix, as in "/api". report is
// called with each violation, from any goroutine.
func (c *Contract) NewTransport(base http.RoundTripper, prefix string, report func(error)) *Transport {
	return &Transport{contract: c, base: base, prefix: strings.TrimRight(prefix, "/"), report: report, seen: map[string]map[int]int{}}
}

// Seen tells how often each operation was answered with each status.
func (t *Transport) Seen() map[string]map[int]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]map[int]int{}
	for id, statuses := range t.seen {
		out[id] = map[int]int{}
		for status, n := range statuses {
			out[id][status] = n
		}
	}
	return out
}

// RoundTrip sends a request and validates the exchange.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.exchange(req, false)
}

// AnswersOnly is t for requests that break the contract on purpose, to see how they are refused: they may be as they are,
// and be of no operation at all, and what answers those of an operation is validated.
func (t *Transport) AnswersOnly() http.RoundTripper { return answersOnly{t} }

type answersOnly struct{ t *Transport }

func (a answersOnly) RoundTrip(req *http.Request) (*http.Response, error) {
	return a.t.exchange(req, true)
}

func (t *Transport) exchange(req *http.Request, anyRequest bool) (*http.Response, error) {
	sent, body, err := rewindable(req)
	if err != nil {
		return nil, err
	}
	resp, err := t.base.RoundTrip(sent)
	if err != nil {
		return nil, err
	}
	if err := t.check(req, body, resp, anyRequest); err != nil {
		t.report(fmt.Errorf("%s %s answered with %d: %w", req.Method, req.URL.Path, resp.StatusCode, err))
	}
	return resp, nil
}

// rewindable reads a JSON body, which is validated once it is sent.
func rewindable(req *http.Request) (*http.Request, []byte, error) {
	if req.Body == nil || !isJSON(req.Header) {
		return req, nil, nil
	}
	body, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, nil, err
	}
	sent := req.Clone(req.Context())
	sent.Body = io.NopCloser(bytes.NewReader(body))
	return sent, body, nil
}

func isJSON(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "application/json"
}

func (t *Transport) check(req *http.Request, body []byte, resp *http.Response, anyRequest bool) error {
	path, ok := strings.CutPrefix(req.URL.Path, t.prefix)
	if !ok {
		return fmt.Errorf("the path is not below %s", t.prefix)
	}
	asked := req.Clone(req.Context())
	asked.URL.Path, asked.URL.RawPath = path, ""
	asked.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := t.contract.router.FindRoute(asked)
	switch {
	case err != nil && anyRequest:
		return nil
	case err != nil:
		return fmt.Errorf("no operation of the contract: %w", err)
	}
	t.note(route.Operation.OperationID, resp.StatusCode)
	input := &openapi3filter.RequestValidationInput{
		Request: asked, PathParams: params, Route: route, Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true,
			ExcludeRequestBody: body == nil && req.Body != nil, RejectWhenRequestBodyNotSpecified: true,
			IncludeResponseStatus: true,
		},
	}
	if err := openapi3filter.ValidateRequest(req.Context(), input); err != nil && !anyRequest {
		return fmt.Errorf("request: %w", err)
	}
	if err := checkResponse(input, resp, route); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	return nil
}

func (t *Transport) note(id string, status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen[id] == nil {
		t.seen[id] = map[int]int{}
	}
	t.seen[id][status]++
}

// everywhere are the codes that every operation may answer with.
var everywhere = map[int][]string{
	http.StatusUnauthorized:        {"unauthorized"},
	http.StatusForbidden:           {"account_deactivated"},
	http.StatusInternalServerError: {"internal", "internal_error", "db_error"},
}

func checkResponse(input *openapi3filter.RequestValidationInput, resp *http.Response, route *routers.Route) error {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if route.Operation.Responses.Status(resp.StatusCode) == nil {
			return fmt.Errorf("the operation does not upgrade")
		}
		return nil
	}
	if !isJSON(resp.Header) {
		return checkPlain(resp, route)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		done, err := checkCode(body, resp.StatusCode, route)
		if done || err != nil {
			return err
		}
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header, Options: input.Options,
	}
	return openapi3filter.ValidateResponse(input.Request.Context(), answer.SetBodyBytes(body))
}

// checkPlain checks an answer that is no JSON: an unknown route, nothing, or a file.
func checkPlain(resp *http.Response, route *routers.Route) error {
	if resp.StatusCode == http.StatusNotFound && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		return nil // A route of the other generation.
	}
	declared := route.Operation.Responses.Status(resp.StatusCode)
	if declared == nil {
		return fmt.Errorf("the status is not of the contract")
	}
	if content := declared.Value.Content; len(content) > 0 && content.Get(resp.Header.Get("Content-Type")) == nil {
		return fmt.Errorf("the content type %q is not of the contract", resp.Header.Get("Content-Type"))
	}
	return nil
}

// checkCode checks the code of a refusal, and reports whether nothing is left to check since every operation has it.
func checkCode(body []byte, status int, route *routers.Route) (done bool, err error) {
	var refusal struct {
		Error struct{ Code, Message *string }
	}
	if err := json.Unmarshal(body, &refusal); err != nil || refusal.Error.Code == nil || refusal.Error.Message == nil {
		return true, fmt.Errorf("the error has no code or no message")
	}
	code := *refusal.Error.Code
	if slices.Contains(everywhere[status], code) {
		return true, nil
	}
	codes, _ := route.Operation.Extensions["x-error-codes"].(map[string]any)
	if !slices.Contains(texts(codes[strconv.Itoa(status)]), code) {
		return true, fmt.Errorf("the code %q is not of the contract", code)
	}
	return false, nil
}
