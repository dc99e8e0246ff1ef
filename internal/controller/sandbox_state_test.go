package controller

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func TestSandboxLossIsReportedOrRepaired(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("lost")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	w.use(sandbox)
	if err := w.wrenn.Lose(sandbox.Status.SandboxID); err != nil {
		t.Fatal(err)
	}
	awaitReason(w, sandbox, v1alpha1.ReasonLost)
	if n := w.calls(wrenndev.OpCreate); n != 1 {
		t.Errorf("%d creates", n)
	}
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.RecoveryPolicy = v1alpha1.RecoveryPolicyRecreate })
	awaitOne(w, sandbox)
	if sandbox.Status.Recreations != 1 {
		t.Errorf("recreations: %d", sandbox.Status.Recreations)
	}
}

func TestSandboxWaitsForItsHost(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("missing")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	id := sandbox.Status.SandboxID
	if err := w.wrenn.SetStatus(id, wrenndev.StatusMissing); err != nil {
		t.Fatal(err)
	}
	awaitReason(w, sandbox, v1alpha1.ReasonHostMissing)
	if err := w.wrenn.SetStatus(id, wrenndev.StatusRunning); err != nil {
		t.Fatal(err)
	}
	awaitOne(w, sandbox)
	if sandbox.Status.SandboxID != id {
		t.Error("the remote was replaced")
	}
}

func TestSandboxIdlePause(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("idle")
	timeout := int32(1)
	sandbox.Spec.IdleTimeoutSeconds = &timeout
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonIdlePaused)
	if !isReady(sandbox.Status.Conditions) {
		t.Errorf("an idle pause is not Ready: %+v", sandbox.Status.Conditions)
	}
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, sandbox, v1alpha1.ReasonPaused)
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModeRunning })
	awaitReason(w, sandbox, v1alpha1.ReasonIdlePaused)
	if n := w.calls(wrenndev.OpResume); n != 1 {
		t.Errorf("%d resumes, want one for the changed spec and none for the idle pause", n)
	}
}

// What a Sandbox says of itself in between, after a restart too, does not have an idle pause taken for a declared one.
func TestSandboxIdlePauseOutlastsTrouble(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("idle")
	timeout := int32(3600)
	sandbox.Spec.IdleTimeoutSeconds = &timeout
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	id := sandbox.Status.SandboxID
	if err := w.wrenn.SetStatus(id, wrenndev.StatusMissing); err != nil {
		t.Fatal(err)
	}
	awaitReason(w, sandbox, v1alpha1.ReasonHostMissing)
	w.stop()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "wrenn"}}
	setKey := func(key string) {
		edit(w, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"apiKey": key} })
	}
	setKey("nonsense")
	w.startOperator()
	awaitReason(w, sandbox, v1alpha1.ReasonConnectionNotReady)
	if err := w.wrenn.SetStatus(id, wrenndev.StatusPaused); err != nil {
		t.Fatal(err)
	}
	setKey(w.wrenn.APIKey())
	awaitReason(w, sandbox, v1alpha1.ReasonIdlePaused)
	if n := w.calls(wrenndev.OpResume); n != 0 {
		t.Errorf("%d resumes", n)
	}
}

// Each cause is told in a condition, and repaired without any other touch.
func TestSandboxWaitsForItsConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.startOperator()
	sandbox := w.sandbox("waiting")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonConnectionNotFound)
	connection := w.connection(w.wrenn.URL())
	w.create(connection)
	awaitReason(w, sandbox, v1alpha1.ReasonConnectionNotReady)
	awaitReason(w, connection, v1alpha1.ReasonSecretNotFound)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "wrenn"}}
	w.create(secret)
	awaitReason(w, connection, v1alpha1.ReasonSecretKeyNotFound)
	for _, step := range []struct{ key, reason string }{
		{"nonsense", v1alpha1.ReasonInvalidCredential},
		{"wrn_00000000000000000000000000000000", v1alpha1.ReasonUnauthorized},
		{w.wrenn.APIKey() + "\n", v1alpha1.ReasonConnected},
	} {
		edit(w, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"apiKey": step.key} })
		awaitReason(w, connection, step.reason)
	}
	awaitOne(w, sandbox)
}

func TestSandboxWaitsForItsTemplate(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	remove := w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultFailBefore, Op: wrenndev.OpCreate, Status: 404, Code: "not_found"})
	sandbox := w.sandbox("waiting")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonTemplateNotFound)
	remove()
	awaitOne(w, sandbox)
}

func TestSandboxOrphaned(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("orphan")
	sandbox.Spec.DeletionPolicy = v1alpha1.DeletionPolicyOrphan
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	if err := w.api.Delete(w.ctx, sandbox); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, sandbox)
	if alive := w.alive(); len(alive) != 1 {
		t.Errorf("%d remotes are alive, want 1", len(alive))
	}
}

// A Sandbox that cannot be destroyed is held, says why, and goes by itself when the cause is repaired.
func TestSandboxHeldWhileItCannotBeDestroyed(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.sandbox("held")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	remove := w.wrenn.Faults().Add(wrenndev.Fault{Kind: wrenndev.FaultAgentFail, Op: wrenndev.OpDestroy})
	if err := w.api.Delete(w.ctx, sandbox); err != nil {
		t.Fatal(err)
	}
	eventually(w, "it says why it is held", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(sandbox), sandbox); err != nil {
			return err
		}
		if isReady(sandbox.Status.Conditions) || sandbox.Status.Conditions[0].Reason != v1alpha1.ReasonServiceError {
			return fmt.Errorf("conditions: %+v", sandbox.Status.Conditions)
		}
		return nil
	})
	remove()
	awaitGone(w, sandbox)
	if alive := w.alive(); len(alive) != 0 {
		t.Errorf("left behind: %+v", alive)
	}
}

// handle is the remote of a Sandbox, as a person with the key sees it.
func (w *world) handle(sandbox *v1alpha1.Sandbox) *wrenn.SandboxHandle {
	w.t.Helper()
	return w.client().Sandbox(sandbox.Status.SandboxID)
}

// client does what people do at Wrenn without the operator.
func (w *world) client() *wrenn.Client {
	w.t.Helper()
	key, err := wrenn.APIKey(w.wrenn.APIKey())
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := wrenn.New(w.wrenn.URL(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.CloseIdleConnections)
	return c
}

// use runs commands in the remote until the service has seen that something has.
func (w *world) use(sandbox *v1alpha1.Sandbox) {
	w.t.Helper()
	handle := w.handle(sandbox)
	eventually(w, "the service has noticed the use", func() error {
		if _, err := handle.Exec(w.ctx, wrenn.ExecRequest{Cmd: "true", Timeout: 5 * time.Second}); err != nil {
			return err
		}
		remote, err := handle.Get(w.ctx)
		if err != nil {
			return err
		}
		if remote.LastActiveAt.Sub(remote.StartedAt) <= time.Second {
			return fmt.Errorf("started %s, active %s", remote.StartedAt, remote.LastActiveAt)
		}
		return nil
	})
}

// A remote whose host is out of touch is looked for often, without anything else going on.
func TestSandboxHurriesWhileItsHostIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	w.pace.Calm, w.pace.HurryFor, w.pace.AwaitFor = time.Hour, 200*time.Millisecond, time.Hour
	w.startOperator()
	w.connect()
	sandbox := w.sandbox("box")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	if err := w.wrenn.SetStatus(sandbox.Status.SandboxID, wrenndev.StatusMissing); err != nil {
		t.Fatal(err)
	}
	w.create(w.sandbox("another")) // has the list read
	awaitReason(w, sandbox, v1alpha1.ReasonHostMissing)
	awaitReason(w, w.sandbox("another"), v1alpha1.ReasonRunning)
	before := w.calls(wrenndev.OpList)
	eventually(w, "it is looked for often", func() error {
		if n := w.calls(wrenndev.OpList) - before; n < 20 {
			return fmt.Errorf("%d lists", n)
		}
		return nil
	})
	if err := w.wrenn.SetStatus(sandbox.Status.SandboxID, wrenndev.StatusRunning); err != nil {
		t.Fatal(err)
	}
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
}
