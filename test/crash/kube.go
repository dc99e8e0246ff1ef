package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// kubeConfig leads an operator to the API server by way of the wire.
func (o *operator) kubeConfig() *rest.Config {
	cfg := rest.CopyConfig(o.world.site.config)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) { return o.askKube(next, req) })
	})
	return cfg
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// askKube sends a request of the operator to the API server, unless it was killed.
func (o *operator) askKube(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	unlink := context.AfterFunc(o.life, cancel) //nolint:contextcheck // it ends with the operator, too
	req = req.WithContext(ctx)
	var resp *http.Response
	var err error
	switch op := kubeOp(req); {
	case o.killed():
		resp, err = o.afterDeath(req)
	case op != "":
		resp, err = o.write(next, req, op)
	case req.Method == http.MethodGet:
		resp, err = o.read(next, req)
	default:
		resp, err = next.RoundTrip(req)
	}
	end := func() { unlink(); cancel() }
	if err != nil {
		end()
		return nil, err
	}
	resp.Body = &endingBody{ReadCloser: resp.Body, end: end}
	return resp, nil
}

// afterDeath answers an operator that was killed. To end, its caches must have been filled: a manager that is told to end
// before waits for that, for ever. So they are filled with nothing.
func (o *operator) afterDeath(req *http.Request) (*http.Response, error) {
	group, resource := path.Split(req.URL.Path)
	query := req.URL.Query()
	switch {
	case req.Method != http.MethodGet || !strings.HasPrefix(group, "/apis/"+v1alpha1.GroupVersion.String()+"/"):
		return nil, errKilled
	case query.Get("sendInitialEvents") == "true":
		return refusal(req, failed(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "lists only")), nil
	case query.Has("watch"):
		return nil, errKilled
	}
	kind, err := o.world.site.mapper.KindFor(v1alpha1.GroupVersion.WithResource(resource))
	if err != nil {
		return nil, errKilled
	}
	return answer(req, http.StatusOK, fmt.Appendf(nil, `{"apiVersion":%q,"kind":%q,"metadata":{"resourceVersion":"1"},"items":[]}`,
		v1alpha1.GroupVersion.String(), kind.Kind+"List")), nil
}

// endingBody tells when it is closed.
type endingBody struct {
	io.ReadCloser
	end func()
}

// Close closes the body.
func (b *endingBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}

// kubeOp names a write: what is done, to what. Events are left out: they are told at any time, and may be lost.
func kubeOp(req *http.Request) string {
	_, what, namespaced := strings.Cut(req.URL.Path, "/namespaces/")
	if req.Method == http.MethodGet || !namespaced {
		return ""
	}
	parts := strings.Split(what, "/")[1:]
	if len(parts) == 0 || parts[0] == "events" {
		return ""
	}
	verb := map[string]string{http.MethodPost: "create", http.MethodPatch: "patch", http.MethodPut: "update", http.MethodDelete: "delete"}[req.Method]
	if last := len(parts) - 1; last == 2 {
		verb, parts = parts[last], parts[:last]
	}
	// What is made for an object has a hash in its name.
	return anyHash.ReplaceAllString(strings.Join(append([]string{verb}, parts...), "."), "hash")
}

// write does what befalls a write.
func (o *operator) write(next http.RoundTripper, req *http.Request, op string) (*http.Response, error) {
	_, m := o.world.wire.meet(op)
	if m == failsBefore {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return refusal(req, o.world.failure()), nil
	}
	o.disturb(m)
	resp, err := next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch m {
	case failsAfter:
		_ = resp.Body.Close()
		return refusal(req, o.world.failure()), nil
	case answerLost:
		_ = resp.Body.Close()
		return nil, io.ErrUnexpectedEOF
	case killed, behind:
		_ = resp.Body.Close()
		o.die(m)
		return nil, errKilled
	default:
		return resp, nil
	}
}

// disturb does what befalls an operator beside an effect that happens.
func (o *operator) disturb(m mishap) {
	switch m {
	case stale:
		o.withhold()
	case dropped:
		o.watches.drop()
	default:
	}
}

// die kills the operator, and sees to how the next one starts.
func (o *operator) die(m mishap) {
	if m == behind {
		o.world.nextIsBehind()
	}
	o.kill()
}

// refusal is an answer of the API server that says no.
func refusal(req *http.Request, status metav1.Status) *http.Response {
	text, _ := json.Marshal(status) // never fails
	return answer(req, int(status.Code), text)
}

func answer(req *http.Request, code int, body []byte) *http.Response {
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: req.Proto, ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
}

func failed(code int32, reason metav1.StatusReason, message string) metav1.Status {
	return metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: code, Reason: reason, Message: message,
	}
}

// read carries what the operator reads.
func (o *operator) read(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	switch watching := query.Get("watch") == "true" || query.Get("watch") == "1"; {
	case watching && o.lists != nil && query.Get("sendInitialEvents") == "true":
		// Only a list can be answered by an older one.
		return refusal(req, failed(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "lists only")), nil
	case watching && o.watches.expired(req.URL.Path):
		return refusal(req, failed(http.StatusGone, metav1.StatusReasonExpired, "too old resource version")), nil
	case watching:
		resp, err := next.RoundTrip(req)
		if err == nil && resp.StatusCode == http.StatusOK {
			resp.Body = o.watches.add(req.URL.Path, &watchBody{ReadCloser: resp.Body, operator: o, ctx: req.Context()})
		}
		return resp, err
	}
	if old, ok := o.lists.take(req.URL.Path); ok {
		return answer(req, http.StatusOK, old), nil
	}
	return next.RoundTrip(req)
}

// watchBody tells of changes, but not while they are withheld.
type watchBody struct {
	io.ReadCloser
	operator *operator
	ctx      context.Context //nolint:containedctx // that of the request
}

// Read reads what the API server tells.
func (b *watchBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	for {
		wait := time.Until(time.Unix(0, b.operator.withheld.Load()))
		if wait <= 0 {
			return n, err
		}
		select {
		case <-time.After(wait):
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		}
	}
}

// watches are the open watches of an operator. Its zero value has none.
type watches struct {
	mu   sync.Mutex
	open map[*watchBody]string
	// gone are the paths whose next watch is answered that its place is no longer known.
	gone map[string]bool
}

func (w *watches) add(path string, body *watchBody) io.ReadCloser {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		w.open, w.gone = map[*watchBody]string{}, map[string]bool{}
	}
	w.open[body] = path
	return &endingBody{ReadCloser: body, end: func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.open, body)
	}}
}

// drop cuts every watch, so that what has happened since is learned from lists only.
func (w *watches) drop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for body, path := range w.open {
		w.gone[path] = true
		_ = body.ReadCloser.Close() //nolint:staticcheck // its own Close waits for the lock
	}
}

func (w *watches) expired(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	expired := w.gone[path]
	delete(w.gone, path)
	return expired
}

// oldLists are lists as they once were, by path. Each is good for one answer. A nil one has none.
type oldLists struct {
	mu     sync.Mutex
	byPath map[string][]byte
}

func (l *oldLists) take(path string) ([]byte, bool) {
	if l == nil {
		return nil, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old, ok := l.byPath[path]
	delete(l.byPath, path)
	return old, ok
}

// copied returns lists that can be taken again.
func (l *oldLists) copied() *oldLists {
	l.mu.Lock()
	defer l.mu.Unlock()
	again := &oldLists{byPath: map[string][]byte{}}
	for path, list := range l.byPath {
		again.byPath[path] = list
	}
	return again
}
