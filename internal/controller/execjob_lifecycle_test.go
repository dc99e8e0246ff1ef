package controller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenn"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

func (w *world) job(name, script string) *v1alpha1.ExecJob {
	return &v1alpha1.ExecJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       v1alpha1.ExecJobSpec{SandboxRef: &v1alpha1.SandboxReference{Name: "box"}, Script: script},
	}
}

// box makes the Sandbox that the jobs of a test run in.
func (w *world) box() *v1alpha1.Sandbox {
	w.t.Helper()
	sandbox := w.sandbox("box")
	w.create(sandbox)
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	return sandbox
}

// awaitReleased waits until nothing of a finished job is left in the guest.
func awaitReleased(w *world, job *v1alpha1.ExecJob) {
	w.t.Helper()
	eventually(w, job.Name+" is let go", func() error {
		if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(job), job); err != nil {
			return err
		}
		if hasFinalizer(job) {
			return fmt.Errorf("status: %+v", job.Status)
		}
		return nil
	})
}

// output is what a job's ConfigMaps hold of stdout.
func (w *world) output(job *v1alpha1.ExecJob) string {
	w.t.Helper()
	var all strings.Builder
	for _, name := range job.Status.OutputConfigMaps {
		var part corev1.ConfigMap
		if err := w.api.Get(w.ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, &part); err != nil {
			w.t.Fatal(err)
		}
		if !metav1.IsControlledBy(&part, job) {
			w.t.Errorf("ConfigMap %s is not owned by the job", name)
		}
		all.Write(part.BinaryData["stdout"])
	}
	return all.String()
}

// guest runs a shell line in the remote.
func (w *world) guest(sandbox *v1alpha1.Sandbox, line string) string {
	w.t.Helper()
	result, err := w.handle(sandbox).Exec(w.ctx, wrenn.ExecRequest{Cmd: "sh", Args: []string{"-c", line}, Timeout: 10 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(result.Stdout)
}

func TestExecJobOutcomes(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "hidden"}, StringData: map[string]string{"key": "very-secret-value"},
	})
	value := "plain 'quoted'"
	env := []v1alpha1.ExecEnvVar{
		{Name: "PLAIN", Value: &value},
		{Name: "HIDDEN", SecretKeyRef: &v1alpha1.SecretKeyReference{Name: "hidden", Key: "key"}},
	}
	code := func(n int32) *int32 { return &n }
	for name, tc := range map[string]struct {
		spec   v1alpha1.ExecJobSpec
		reason string
		exit   *int32
		signal int32
		stdout string
		tail   string
	}{
		"script":    {v1alpha1.ExecJobSpec{Script: "printf 'a\\0b'; echo err >&2"}, v1alpha1.ReasonSucceeded, code(0), 0, "a\x00b", "a\x00b"},
		"command":   {v1alpha1.ExecJobSpec{Command: []string{"echo", "$HOME", "it's"}}, v1alpha1.ReasonSucceeded, code(0), 0, "$HOME it's\n", "$HOME it's\n"},
		"env":       {v1alpha1.ExecJobSpec{Script: `echo "$PLAIN $HIDDEN"`, Env: env}, v1alpha1.ReasonSucceeded, code(0), 0, value + " very-secret-value\n", value + " ***\n"},
		"directory": {v1alpha1.ExecJobSpec{Script: "pwd", WorkingDir: "/usr"}, v1alpha1.ReasonSucceeded, code(0), 0, "/usr\n", "/usr\n"},
		"exit code": {v1alpha1.ExecJobSpec{Script: "echo out; exit 7"}, v1alpha1.ReasonNonZeroExit, code(7), 0, "out\n", "out\n"},
		"signal":    {v1alpha1.ExecJobSpec{Script: "kill -9 $$"}, v1alpha1.ReasonSignaled, nil, 9, "", ""},
		"deadline":  {v1alpha1.ExecJobSpec{Script: "echo on; sleep 1000", ActiveDeadlineSeconds: 3}, v1alpha1.ReasonDeadlineExceeded, nil, 15, "on\n", "on\n"},
		"no output": {v1alpha1.ExecJobSpec{Command: []string{"true"}}, v1alpha1.ReasonSucceeded, code(0), 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			job := w.job(strings.ReplaceAll(name, " ", "-"), "")
			tc.spec.SandboxRef = job.Spec.SandboxRef
			job.Spec = tc.spec
			w.create(job)
			awaitReason(w, job, tc.reason)
			condition := v1alpha1.ConditionFailed
			if tc.reason == v1alpha1.ReasonSucceeded {
				condition = v1alpha1.ConditionComplete
			}
			if !meta.IsStatusConditionTrue(job.Status.Conditions, condition) {
				t.Errorf("it is not %s: %+v", condition, job.Status.Conditions)
			}
			if got, want := fmt.Sprint(deref32(job.Status.ExitCode)), fmt.Sprint(deref32(tc.exit)); got != want {
				t.Errorf("exit code %s, want %s", got, want)
			}
			if job.Status.Signal != tc.signal {
				t.Errorf("signal %d, want %d", job.Status.Signal, tc.signal)
			}
			if got := w.output(job); got != tc.stdout {
				t.Errorf("stored %q, want %q", got, tc.stdout)
			}
			if job.Status.StdoutTail != tc.tail {
				t.Errorf("tail %q, want %q", job.Status.StdoutTail, tc.tail)
			}
			awaitReleased(w, job)
		})
	}
	if left := w.guest(sandbox, "ls -A .wrenn/exec; ps ax 2>/dev/null | grep '[s]leep 1000'; true"); left != "" {
		t.Errorf("left in the guest: %s", left)
	}
}

func deref32(n *int32) any {
	if n == nil {
		return nil
	}
	return *n
}

// A running job that is deleted ends its processes before it goes.
func TestExecJobDeletedWhileRunning(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	job := w.job("endless", "(setsid sleep 4321 &); echo on; sleep 4321")
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonExecuting)
	eventually(w, "its processes are there", func() error {
		if n := w.processes(sandbox, "4321"); n != "2" {
			return fmt.Errorf("%s processes", n)
		}
		return nil
	})
	if err := w.api.Delete(w.ctx, job); err != nil {
		t.Fatal(err)
	}
	awaitGone(w, job)
	if n := w.processes(sandbox, "4321"); n != "0" {
		t.Errorf("%s processes are left", n)
	}
	if left := w.guest(sandbox, "ls -A .wrenn/exec; true"); left != "" {
		t.Errorf("left in the guest: %s", left)
	}
}

// processes counts those of the remote whose command line has a word.
func (w *world) processes(sandbox *v1alpha1.Sandbox, word string) string {
	return strings.TrimSpace(w.guest(sandbox, `n=0; for f in /proc/[0-9]*/cmdline; do
		case $(tr '\0' ' ' <$f 2>/dev/null) in "sleep `+word+` ") n=$((n+1));; esac; done; echo $n`))
}

// A command goes on while the operator is away, is run once, and every byte of it is kept.
func TestExecJobSurvivesTheOperator(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	job := w.job("survivor", `echo run >>runs
		i=0
		while [ $i -lt 100 ]; do
			echo line $i
			i=$((i+1))
			until [ $i != 50 ] || [ -e go ]; do
				sleep 0.05
			done # half of it is written before
		done`)
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonExecuting)
	w.stop()
	w.guest(sandbox, "touch go")
	w.startOperator()
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if runs := w.guest(sandbox, "cat runs"); runs != "run\n" {
		t.Errorf("it was run: %q", runs)
	}
	var want strings.Builder
	for i := range 100 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	if got := w.output(job); got != want.String() {
		t.Errorf("stored %d bytes, want %d", len(got), want.Len())
	}
}

// Each cause is told in a condition, and repaired without any other touch.
func TestExecJobWaitsForItsCauses(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	job := w.job("waiting", `echo "$V"`)
	job.Spec.Env = []v1alpha1.ExecEnvVar{{Name: "V", ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "late", Key: "key"}}}
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonSandboxNotFound)
	sandbox := w.sandbox("box")
	sandbox.Spec.OperatingMode = v1alpha1.OperatingModePaused
	w.create(sandbox)
	awaitReason(w, job, v1alpha1.ReasonSandboxPaused)
	awaitReason(w, sandbox, v1alpha1.ReasonPaused)
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModeRunning })
	awaitReason(w, job, v1alpha1.ReasonEnvNotFound)
	w.create(&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "late"}, Data: map[string]string{"key": "come"},
	})
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if got := w.output(job); got != "come\n" {
		t.Errorf("stored %q", got)
	}
}

func TestExecJobFailsWithItsSandbox(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	job := w.job("doomed", "echo on; sleep 1000")
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonExecuting)
	if err := w.api.Delete(w.ctx, sandbox); err != nil {
		t.Fatal(err)
	}
	awaitReason(w, job, v1alpha1.ReasonSandboxLost)
	awaitReleased(w, job)
	awaitGone(w, sandbox)
}

// A Sandbox that is paused freezes the job, which goes on where it was.
func TestExecJobIsFrozenWithItsSandbox(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	job := w.job("frozen", "echo a; until [ -e go ]; do sleep 0.05; done; echo b")
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonExecuting)
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(w, sandbox, v1alpha1.ReasonPaused)
	awaitReason(w, job, v1alpha1.ReasonSandboxPaused)
	edit(w, sandbox, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModeRunning })
	awaitReason(w, sandbox, v1alpha1.ReasonRunning)
	w.guest(sandbox, "touch go")
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if got := w.output(job); got != "a\nb\n" {
		t.Errorf("stored %q", got)
	}
}
