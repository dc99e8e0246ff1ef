package execrun

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// openOutput reads what is stored, when that is not known, and stores what could not be stored before.
func (a *attempt) openOutput(ctx context.Context, spec *Attempt) error {
	if a.out != nil {
		if !a.blocked {
			return nil
		}
		return a.settle(a.out.flush(ctx, false))
	}
	out, tails, err := loadOutput(ctx, a.runner.Reader, a.runner.Client, spec)
	if err != nil {
		return err
	}
	a.out = out
	if a.final != nil {
		return nil
	}
	a.offsets = out.end
	a.mu.Lock()
	a.tails = tails
	a.mu.Unlock()
	// Where the end of the output is not stored, the first look tells how far it is.
	if out.room() > 0 {
		a.publish()
	}
	return nil
}

// store stores what is due, and looks from time to time whether what was stored is still there. While the API server
// refuses it the run is followed on, as long as there is room.
func (a *attempt) store(ctx context.Context) error {
	if time.Since(a.out.lastCheck) >= a.runner.Pace.Check {
		// Not being able to look is no trouble: there is another look at the end.
		if err := a.out.check(ctx); errors.Is(err, errStale) {
			return a.settle(err)
		}
	}
	if !a.out.due() || time.Now().Before(a.nextTry) {
		return nil
	}
	err := a.settle(a.out.flush(ctx, false))
	if errors.Is(err, errBlocked) && ctx.Err() == nil {
		a.refused(err)
		a.nextTry = time.Now().Add(a.backoff())
		return nil
	}
	return err
}

// settle looks at the outcome of storing something.
func (a *attempt) settle(err error) error {
	switch {
	case errors.Is(err, errStale):
		a.out = nil
	case err == nil && a.blocked:
		a.blocked, a.failures = false, 0
		a.update(func(p *Progress) { p.Reason, p.Message = "", "" })
	}
	if err == nil {
		a.publish()
	}
	return err
}

// refused tells that the output is not taken.
func (a *attempt) refused(err error) {
	a.blocked = true
	message := redact(blockedMessage(err), a.current().Command.secrets())
	a.update(func(p *Progress) { p.Reason, p.Message = v1alpha1.ReasonOutputBlocked, message })
}

// blockedMessage keeps to the API server's words where it refuses something, since they name the quota, and else to words
// that are the same from one try to the next.
func blockedMessage(err error) string {
	var status apierrors.APIStatus
	switch {
	case errors.Is(err, errForeign):
		return err.Error()
	case !errors.As(err, &status):
		return errBlocked.Error() + ": the API server cannot be reached"
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsRequestEntityTooLargeError(err):
		return shortened(errBlocked.Error() + ": " + status.Status().Message)
	default:
		return fmt.Sprintf("%s: the API server answers %s", errBlocked, status.Status().Reason)
	}
}

// shortened bounds what somebody else says: the status holds so much.
func shortened(s string) string {
	const limit = 512
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return s
}

// publish shows how far the streams are.
func (a *attempt) publish() {
	a.update(func(p *Progress) {
		p.Stdout.Bytes, p.Stderr.Bytes = a.offsets[stdout], a.offsets[stderr]
		p.Truncated = a.dropped()
		p.ConfigMaps = a.out.names()
	})
}

// dropped is how much of the output is not stored because of the limit, if it ends now.
func (a *attempt) dropped() int64 {
	switch {
	case a.out.keep != v1alpha1.OutputConfigMapsAlways && a.final == nil:
		return 0
	case a.final != nil:
		return a.final.unstored
	default:
		return max(0, sum(a.offsets)-a.out.limit)
	}
}
