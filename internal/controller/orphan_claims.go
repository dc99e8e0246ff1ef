package controller

import (
	"context"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// claimsPage is how many Sandboxes are read from the API server at a time.
const claimsPage = 500

// remoteClaims are all remotes that the Sandboxes of a cluster claim, or may claim once a create is resolved. Snapshots
// have no sandboxes of their own.
type remoteClaims struct {
	ids map[string]bool
	// tokens are those of creates whose outcome may not be stored yet.
	tokens map[int32]bool
	// unmarked are such creates without a token, which can mean any remote of their kind. The times of creates are left out
	// of it: clocks differ.
	unmarked map[remoteKind]bool
	// unreadable tells that a Sandbox has an intent which cannot be read, and so could mean any remote.
	unreadable bool
}

// remoteKind is what a remote without a token is recognized by.
type remoteKind struct {
	template string
	timeout  int32
}

func newRemoteClaims() *remoteClaims {
	return &remoteClaims{ids: map[string]bool{}, tokens: map[int32]bool{}, unmarked: map[remoteKind]bool{}}
}

// cachedClaims reads what all Sandboxes claim from a cache, which knows no pages.
func cachedClaims(ctx context.Context, cache client.Reader) (*remoteClaims, error) {
	claims := newRemoteClaims()
	_, err := claims.addList(ctx, cache)
	return claims, err
}

// storedClaims reads what all Sandboxes claim from the API server, page by page. It fails where one page does.
func storedClaims(ctx context.Context, direct client.Reader) (*remoteClaims, error) {
	claims := newRemoteClaims()
	for next := ""; ; {
		var err error
		if next, err = claims.addList(ctx, direct, client.Limit(claimsPage), client.Continue(next)); err != nil {
			return nil, err
		}
		if next == "" {
			return claims, nil
		}
	}
}

// addList takes in the Sandboxes of a list, and returns where the next one begins.
func (c *remoteClaims) addList(ctx context.Context, reader client.Reader, options ...client.ListOption) (next string, err error) {
	var list v1alpha1.SandboxList
	if err := reader.List(ctx, &list, options...); err != nil {
		return "", err
	}
	for i := range list.Items {
		c.add(&list.Items[i])
	}
	return list.Continue, nil
}

// add takes in what a Sandbox claims.
func (c *remoteClaims) add(sandbox *v1alpha1.Sandbox) {
	for _, id := range claimsOf(sandbox) {
		c.ids[id] = true
	}
	if id, ok := strings.CutPrefix(sandbox.Annotations[v1alpha1.AnnotationCreateOutcome], outcomeAdopt); ok {
		c.ids[id] = true
	}
	switch intent, err := openIntent(sandbox); {
	case err != nil:
		c.unreadable = true
	case intent == nil:
	case intent.Token != 0:
		c.tokens[intent.Token] = true
	default:
		c.unmarked[remoteKind{template: intent.Template, timeout: idleTimeout(sandbox)}] = true
	}
}

// cover tells whether a remote is claimed, or may be.
func (c *remoteClaims) cover(remote wrenn.Sandbox) bool {
	return c.unreadable || c.ids[remote.ID] || c.tokens[-remote.TimeoutSec] ||
		c.unmarked[remoteKind{template: remote.Template, timeout: remote.TimeoutSec}]
}

// coverAny tells whether any of the remotes is claimed.
func (c *remoteClaims) coverAny(remotes []wrenn.Sandbox) bool {
	return slices.ContainsFunc(remotes, c.cover)
}
