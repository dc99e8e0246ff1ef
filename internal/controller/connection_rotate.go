package controller

import (
	"cmp"
	"context"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/connection"
)

const (
	purposeVerify = "verify"
	// verifyTimeout bounds the verification of a credential.
	verifyTimeout = 10 * time.Second
	// firstVerification and slowestVerification bound the backoff of a credential that was not accepted.
	firstVerification, slowestVerification = time.Second, time.Minute
	// maxWitnesses is how many sandboxes another credential has to know at most: one may have been purged.
	maxWitnesses = 5
)

// verification is what a flight has found out about a credential.
type verification struct {
	fingerprint string
	team        *connection.Team
	health      connection.Health
}

// accept leads the connection to the team of its settings, if that is the team which has the sandboxes of those that are
// bound to the connection. Until that is known, and where it is not so, the team before it stays in use.
func (r *ConnectionReconciler) accept(ctx context.Context, view *connectionView, settings connection.Settings) (standing, error) {
	fingerprint := settings.Fingerprint()
	inUse, ok := r.Pool.Get(view.key)
	if view.status.Fingerprint == fingerprint || (ok && inUse.Fingerprint == fingerprint) {
		return r.set(view, settings), nil
	}
	ids, known, err := r.witnesses(ctx, view.key, fingerprint)
	if err != nil {
		return standing{}, err
	}
	if len(ids) == 0 || known {
		return r.set(view, settings), nil
	}
	return r.verify(view, settings, ids), nil
}

// verify has a flight ask the service whether it knows the sandboxes by the new credential, and follows what that has found.
func (r *ConnectionReconciler) verify(view *connectionView, settings connection.Settings, ids []string) standing {
	uid := view.obj.GetUID()
	found, ok := r.flights.of(uid)
	switch {
	case ok && !found.done:
		return r.meanwhile(view)
	case ok && found.result.fingerprint != settings.Fingerprint():
		r.troubles.forget(uid)
		found.result.discard()
	case ok && found.result.health.State == connection.StateConnected:
		return r.lead(view, r.Pool.Lead(view.key, found.result.team, settings))
	case ok:
		if s, waits := r.troubles.of(view.obj); waits {
			return s.atTheLatest(r.Refresh.Missing)
		}
	}
	r.flights.clear(uid)
	candidate, err := r.Pool.Candidate(settings)
	if err != nil {
		return unusable(err)
	}
	obj, _ := view.obj.DeepCopyObject().(client.Object)
	_, has := r.Pool.Get(view.key)
	r.flights.launch(uid, client.ObjectKeyFromObject(obj), purposeVerify, verifyTimeout, func(ctx context.Context) (verification, error) {
		outcome := verification{fingerprint: settings.Fingerprint(), team: candidate, health: candidate.Recognize(ctx, ids)}
		if outcome.health.State != connection.StateConnected {
			outcome.discard()
			r.troubles.note(obj, refusal(outcome.health, has), askedToWait(outcome.health.Err))
		}
		return outcome, nil
	})
	return r.meanwhile(view)
}

// discard lets go of a team that nothing leads to.
func (v verification) discard() {
	if v.team != nil {
		v.team.Client.CloseIdleConnections()
	}
}

// meanwhile is where a connection stands whose new credential is being verified: where it stood.
func (r *ConnectionReconciler) meanwhile(view *connectionView) standing {
	view.verifying = true
	health := connection.Health{State: connection.StateConnecting}
	if team, ok := r.Pool.Get(view.key); ok {
		health = team.Health()
	}
	return r.troubles.during(view.obj, healthStanding(health))
}

// refusal is where a connection stands whose new credential was not accepted. Kept tells that the one before it is still in use.
func refusal(health connection.Health, kept bool) standing {
	s := healthStanding(health)
	if health.State == connection.StateForeign {
		s = stalled(v1alpha1.ReasonTeamMismatch, "the credential belongs to another team than that of the Sandboxes which use the "+
			"connection: put one of their team into the Secret, or delete those Sandboxes first")
	}
	if kept {
		s.message += " (the Secret has changed, and what was in use before stays in use)"
	}
	return s
}

// witnesses returns the ids of some sandboxes of those that are bound to a connection, the newest first, and whether any of
// them was bound by the credential of the fingerprint.
func (r *ConnectionReconciler) witnesses(ctx context.Context, key connection.Key, fingerprint string) (ids []string, known bool, err error) {
	var sandboxes v1alpha1.SandboxList
	if err := r.List(ctx, &sandboxes, client.InNamespace(key.Namespace)); err != nil {
		return nil, false, err
	}
	bound := slices.DeleteFunc(sandboxes.Items, func(sandbox v1alpha1.Sandbox) bool {
		through := sandbox.Status.Connection
		return sandbox.Status.SandboxID == "" || through == nil || connection.KeyOf(sandbox.Namespace, through.Kind, through.Name) != key
	})
	slices.SortFunc(bound, func(a, b v1alpha1.Sandbox) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.UID, b.UID))
	})
	for i := range bound {
		known = known || bound[i].Status.Connection.Fingerprint == fingerprint
		if i < maxWitnesses {
			ids = append(ids, bound[i].Status.SandboxID)
		}
	}
	return ids, known, nil
}

// endVerifications waits for the verifications under way and lets go of what came of them.
func (r *ConnectionReconciler) endVerifications(ctx context.Context) error {
	<-ctx.Done()
	for _, landed := range r.flights.drain() {
		landed.result.discard()
	}
	return nil
}
