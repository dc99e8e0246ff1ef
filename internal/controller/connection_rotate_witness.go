package controller

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// witnesses are what the team of a connection is known by.
type witnesses struct {
	// ids are those of some sandboxes of those that are bound to the connection, the newest first.
	ids []string
	// known tells that one of them was bound by the very credential that is in question.
	known bool
	// open are the creates of another credential whose outcome is not stored: their team may have a sandbox that no id is
	// known of.
	open []openCreate
}

// openCreate is an open intent, and the remote that a person has named for what came of it; "" where none has.
type openCreate struct {
	attempt
	named string
}

// none tells that nobody has anything through the connection, so that any team will do.
func (w witnesses) none() bool { return len(w.ids) == 0 && len(w.open) == 0 }

// blind tells that there is no sandbox to ask for.
func (w witnesses) blind() bool { return len(w.ids) == 0 }

// recognize finds out whether it is their team. Without a sandbox to ask for, only what came of a create can tell, if it is
// in the list: its absence tells nothing.
func (w witnesses) recognize(ctx context.Context, team *connection.Team) connection.Health {
	health := team.Recognize(ctx, w.ids)
	if health.State != connection.StateConnected || !w.blind() {
		return health
	}
	list, _ := team.Sandboxes()
	if !slices.ContainsFunc(w.open, func(create openCreate) bool { return slices.ContainsFunc(list, create.shows) }) {
		health.State = connection.StateForeign
	}
	return health
}

// shows tells whether a remote can only be what came of the create.
func (c openCreate) shows(remote wrenn.Sandbox) bool {
	return remote.ID == c.named || c.intent.Token != 0 && c.mayBe(remote)
}

// witnesses returns what the team of a connection is known by, to a credential that has another fingerprint.
func (r *ConnectionReconciler) witnesses(ctx context.Context, key connection.Key, fingerprint string) (witnesses, error) {
	var sandboxes v1alpha1.SandboxList
	if err := r.List(ctx, &sandboxes, client.InNamespace(key.Namespace)); err != nil {
		return witnesses{}, err
	}
	items := sandboxes.Items
	slices.SortFunc(items, func(a, b v1alpha1.Sandbox) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.UID, b.UID))
	})
	var found witnesses
	for i := range items {
		switch through := throughOf(&items[i]); {
		case through == nil || connection.KeyOf(items[i].Namespace, through.Kind, through.Name) != key:
		case items[i].Status.SandboxID != "":
			found.known = found.known || through.Fingerprint == fingerprint
			if len(found.ids) < maxWitnesses {
				found.ids = append(found.ids, items[i].Status.SandboxID)
			}
		case through.Fingerprint != fingerprint:
			open, err := r.openCreate(ctx, &items[i])
			if err != nil {
				return witnesses{}, err
			}
			found.open = append(found.open, open...)
		}
	}
	return found, nil
}

// throughOf is the connection that a Sandbox has its remote through, or has asked for one; nil where there is none. What the
// status tells nobody can forge.
func throughOf(sandbox *v1alpha1.Sandbox) *v1alpha1.BoundConnection {
	if sandbox.Status.SandboxID != "" && sandbox.Status.Connection != nil {
		return sandbox.Status.Connection
	}
	return intendedConnection(sandbox, v1alpha1.AnnotationCreateIntent)
}

// openCreate returns the create whose outcome a Sandbox without remote waits for. An intent in a namespace that may not use
// the connection is none: anybody may write one.
func (r *ConnectionReconciler) openCreate(ctx context.Context, sandbox *v1alpha1.Sandbox) ([]openCreate, error) {
	intent, err := openIntent(sandbox)
	if err != nil || intent == nil {
		return nil, nil //nolint:nilerr // one that cannot be read is reported by the Sandbox's own controller
	}
	through := v1alpha1.ConnectionReference{Kind: intent.Connection.Kind, Name: intent.Connection.Name}
	_, err = r.users().resolver.Find(ctx, sandbox.Namespace, &through)
	if unavailable := (*connection.UnavailableError)(nil); errors.As(err, &unavailable) {
		return nil, nil
	}
	return []openCreate{{attempt: byToken(*intent), named: namedOutcome(sandbox)}}, err
}
