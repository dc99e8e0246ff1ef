package controller

import (
	"context"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

// endOfLife returns when a Sandbox's life ends, nil for never.
func endOfLife(sandbox *v1alpha1.Sandbox) *metav1.Time {
	end := sandbox.Spec.ShutdownTime
	if ttl := sandbox.Spec.TTLSeconds; ttl > 0 {
		last := metav1.NewTime(sandbox.CreationTimestamp.Add(time.Duration(ttl) * time.Second))
		if end == nil || last.Before(end) {
			end = &last
		}
	}
	return end
}

// expire forgets the remote that was destroyed at the end of its life. The annotations go first: as long as the status
// names the remote, it is destroyed once more where it is not certain that it was.
func (r *SandboxReconciler) expire(ctx context.Context, view *sandboxView) (standing, error) {
	id := view.sandbox.Status.SandboxID
	err := r.editMetadata(ctx, view, func(sandbox *v1alpha1.Sandbox) error {
		delete(sandbox.Annotations, v1alpha1.AnnotationSandboxID)
		delete(sandbox.Annotations, v1alpha1.AnnotationFilesWritten)
		delete(sandbox.Annotations, v1alpha1.AnnotationCreateIntent)
		delete(sandbox.Annotations, v1alpha1.AnnotationCreateOutcome)
		return nil
	})
	if err != nil {
		return standing{}, err
	}
	if view.team != nil {
		view.team.Forget(id)
	}
	view.sandbox.Status.SandboxID, view.sandbox.Status.FilesWritten = "", ""
	view.sandbox.Status.Endpoints = nil
	view.observed.bound, view.observed.remote = false, ""
	s := expired()
	if view.observed.shutdown == v1alpha1.ShutdownPolicyDelete {
		s = working(v1alpha1.ReasonExpiring, "the end of the sandbox's life has come: the object is being deleted").after(soon)
	}
	return s, nil
}

// deleteObject deletes the object itself, unless it has changed since it was looked at.
func (r *SandboxReconciler) deleteObject(ctx context.Context, view *sandboxView) (standing, error) {
	uid, version := view.sandbox.UID, view.sandbox.ResourceVersion
	err := r.Delete(ctx, view.sandbox, client.Preconditions{UID: &uid, ResourceVersion: &version})
	return unchanged(), client.IgnoreNotFound(err)
}

// expired is where a Sandbox stands whose life has ended.
func expired() standing {
	return settled(v1alpha1.ReasonExpired, "the end of the sandbox's life has come, and its remote was destroyed")
}

// maxWake is how much of the annotation that asks for a wake the status can hold, in bytes.
const maxWake = 256

// wakeOf returns what the annotation that asks for a wake says, cut to what the status can hold: anybody may write it.
func wakeOf(sandbox *v1alpha1.Sandbox) string {
	wake := sandbox.Annotations[v1alpha1.AnnotationWakeRequestedAt]
	return strings.ToValidUTF8(wake[:min(len(wake), maxWake)], "")
}

// ping tells the service that the remote is in use. One that fails changes nothing: the next is not far. But the sandbox
// may have been paused a moment ago, so it is looked at.
func (r *SandboxReconciler) ping(view *sandboxView) standing {
	if s, blocked := r.blocked(view); blocked {
		return s
	}
	r.pings.sent(view.sandbox.UID)
	team, handle := view.team, view.team.Client.Sandbox(view.sandbox.Status.SandboxID)
	r.launchCalmly(view, purposePing, r.Timing.Call, func(ctx context.Context) (wrenn.Sandbox, error) {
		if handle.Ping(ctx) == nil {
			return wrenn.Sandbox{}, nil
		}
		if now, err := handle.Get(ctx); err == nil {
			team.Observe(*now)
		}
		return wrenn.Sandbox{}, nil
	})
	return unchanged()
}

// pings remember when each sandbox that is to be kept awake was last pinged. They are memory only: after a restart each
// is pinged at once, which is right.
type pings struct {
	mu   sync.Mutex
	last map[types.UID]time.Time
}

func newPings() *pings { return &pings{last: map[types.UID]time.Time{}} }

// dueIn tells how long the next ping can wait; nothing where it cannot.
func (p *pings) dueIn(uid types.UID, interval time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, time.Until(p.last[uid].Add(interval)))
}

func (p *pings) sent(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[uid] = time.Now()
}

func (p *pings) forget(uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.last, uid)
}

// pingInterval is how often a sandbox with an idle timeout is pinged that is not to idle. A ping may be lost, and the next
// still comes in time.
func pingInterval(idle int32) time.Duration {
	return min(time.Duration(idle)*time.Second/3, slowestPing)
}
