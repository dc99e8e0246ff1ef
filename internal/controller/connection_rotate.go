package controller

import (
	"context"
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
	// blind tells that there was no sandbox to ask for.
	blind  bool
	team   *connection.Team
	health connection.Health
}

// accept leads the connection to the team of its settings, if that is the team which has what those who are bound to the
// connection have asked for. Until that is known, and where it is not so, the team before it stays in use.
func (r *ConnectionReconciler) accept(ctx context.Context, view *connectionView, settings connection.Settings) (standing, error) {
	fingerprint := settings.Fingerprint()
	inUse, ok := r.Pool.Get(view.key)
	if view.status.Fingerprint == fingerprint || (ok && inUse.Fingerprint == fingerprint) {
		return r.set(view, settings), nil
	}
	found, err := r.witnesses(ctx, view.key, fingerprint)
	if err == nil && found.none() {
		// Nobody who is about to ask the team before it for a sandbox is to be missed.
		if !r.Pool.Shut(view.key) {
			return r.meanwhile(view).after(soon), nil
		}
		found, err = r.witnesses(ctx, view.key, fingerprint)
	}
	switch {
	case err != nil:
		return standing{}, err
	case found.none() || found.known:
		return r.set(view, settings), nil
	}
	s := r.verify(view, settings, found)
	if s.reason == v1alpha1.ReasonTeamMismatch && found.blind() && ok {
		s = view.bide(s, inUse.Health())
	}
	return s, nil
}

// verify has a flight ask the service whether it knows the witnesses by the new credential, and follows what that has found.
func (r *ConnectionReconciler) verify(view *connectionView, settings connection.Settings, by witnesses) standing {
	uid := view.obj.GetUID()
	found, ok := r.flights.of(uid)
	switch {
	case ok && !found.done:
		return r.meanwhile(view)
	case ok && (found.result.fingerprint != settings.Fingerprint() || found.result.blind != by.blind()):
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
		outcome := verification{
			fingerprint: settings.Fingerprint(), blind: by.blind(), team: candidate, health: by.recognize(ctx, candidate),
		}
		if outcome.health.State != connection.StateConnected {
			outcome.discard()
			r.troubles.note(obj, refusal(outcome.health, by, has), askedToWait(outcome.health.Err))
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

// bide is where a connection stands whose new credential cannot be verified as long as it is not known what came of a
// create. Where the one before it is good, that is used to find out, and by those who are new: what is made for them is a
// witness.
func (v *connectionView) bide(refused standing, inUse connection.Health) standing {
	if inUse.State != connection.StateConnected {
		return refused
	}
	v.verifying = true
	s := healthStanding(inUse)
	s.message += " (the Secret or the endpoint has changed: that is verified when it is known what came of a create)"
	return s.after(refused.again)
}

// refusal is where a connection stands whose new credential was not accepted. Kept tells that the one before it is still in use.
func refusal(health connection.Health, by witnesses, kept bool) standing {
	s := healthStanding(health)
	switch {
	case health.State != connection.StateForeign:
	case by.blind():
		s = stalled(v1alpha1.ReasonTeamMismatch, "it is not known what came of a create that was sent with another credential, and nothing "+
			"shows that this one belongs to the same team: put back the one before it until that is known, or decide by the annotation "+
			v1alpha1.AnnotationCreateOutcome+" of the Sandbox")
	default:
		s = stalled(v1alpha1.ReasonTeamMismatch, "the credential belongs to another team than that of the Sandboxes which use the "+
			"connection: put one of their team into the Secret, or delete those Sandboxes first")
	}
	if kept {
		s.message += " (the Secret has changed, and what was in use before stays in use)"
	}
	return s
}

// endVerifications waits for the verifications under way and lets go of what came of them.
func (r *ConnectionReconciler) endVerifications(ctx context.Context) error {
	<-ctx.Done()
	for _, landed := range r.flights.drain() {
		landed.result.discard()
	}
	return nil
}
