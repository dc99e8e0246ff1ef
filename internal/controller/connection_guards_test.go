package controller

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// A server with a certificate of its own is trusted once the connection brings what it was signed with.
func TestConnectionTrustsItsBundle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	target, err := url.Parse(w.wrenn.URL())
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(target))
	t.Cleanup(front.Close)
	w.startOperator()
	w.secret("wrenn", "apiKey", w.wrenn.APIKey())
	connection := w.connection(front.URL)
	w.create(connection)
	awaitReason(w, connection, v1alpha1.ReasonEndpointUnreachable)
	edit(w, connection, func(c *v1alpha1.Connection) { c.Spec.CABundle = []byte("not a certificate") })
	awaitReason(w, connection, v1alpha1.ReasonInvalidRequest)
	edit(w, connection, func(c *v1alpha1.Connection) {
		c.Spec.CABundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	})
	awaitReason(w, connection, v1alpha1.ReasonConnected)
	sandbox := w.sandbox("box")
	w.create(sandbox)
	awaitOne(w, sandbox)
}

// A team never has more sandboxes than its limit, and who waits has its turn when there is room.
func TestConnectionBoundsItsSandboxes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	w.secret("wrenn", "apiKey", w.wrenn.APIKey())
	connection := w.connection(w.wrenn.URL())
	connection.Spec.Limits.MaxSandboxes = 2
	w.create(connection)
	awaitReason(w, connection, v1alpha1.ReasonConnected)
	sandboxes := map[string]*v1alpha1.Sandbox{}
	for i := range 5 {
		name := fmt.Sprint("box-", i)
		sandboxes[name] = w.sandbox(name)
		w.create(sandboxes[name])
	}
	for left := len(sandboxes); left > 0; left = len(sandboxes) {
		having := min(2, left)
		eventually(w, fmt.Sprintf("%d of %d have a remote and the others wait", having, left), func() error {
			reasons := map[string]int{}
			for _, sandbox := range sandboxes {
				if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil {
					return err
				}
				reasons[readyOf(sandbox)]++
			}
			if reasons[v1alpha1.ReasonRunning] != having || reasons[v1alpha1.ReasonLimitReached] != left-having {
				return fmt.Errorf("reasons: %v", reasons)
			}
			return nil
		})
		if n := len(w.alive()); n > 2 {
			t.Fatalf("%d remotes at a time", n)
		}
		for name, sandbox := range sandboxes {
			if readyOf(sandbox) == v1alpha1.ReasonRunning {
				if err := w.api.Delete(w.ctx, sandbox); err != nil {
					t.Fatal(err)
				}
				awaitGone(w, sandbox)
				delete(sandboxes, name)
				break
			}
		}
	}
}
