package controller

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// A secret is in no tail, whether the operator that knows it is still there or another has come that cannot know it.
func TestExecJobTailsWithoutSecrets(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "hidden"}, StringData: map[string]string{"key": "first-value"},
	}
	w.create(secret)
	job := w.job("secretive", `for step in 1 2 3; do
			until [ -e go$step ]; do sleep 0.05; done
			printf '%s' "step $step first-"; sleep 0.3; echo value
		done; until [ -e end ]; do sleep 0.05; done`)
	job.Spec.Env = []v1alpha1.ExecEnvVar{{Name: "HIDDEN", SecretKeyRef: &v1alpha1.SecretKeyReference{Name: "hidden", Key: "key"}}}
	w.create(job)
	want := ""
	step := func(number int, tail string) {
		t.Helper()
		w.guest(sandbox, fmt.Sprintf("touch go%d", number))
		want += fmt.Sprintf("step %d first-value\n", number)
		eventually(w, fmt.Sprint("the tail of step ", number), func() error {
			if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(job), job); err != nil {
				return err
			}
			if strings.Contains(job.Status.StdoutTail, "first") {
				t.Fatalf("the tail shows %q", job.Status.StdoutTail)
			}
			if n := job.Status.StdoutBytes; n == nil || *n != int64(len(want)) || job.Status.StdoutTail != tail {
				return errors.New(job.Status.StdoutTail)
			}
			return nil
		})
	}
	step(1, "step 1 ***\n")
	w.stop()
	w.startOperator()
	step(2, "step 1 ***\nstep 2 ***\n")
	w.stop()
	edit(w, secret, func(s *corev1.Secret) { s.StringData = map[string]string{"key": "another-value"} })
	w.startOperator()
	step(3, "")
	w.guest(sandbox, "touch end")
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if got := w.output(job); got != want {
		t.Errorf("stored %q, want %q", got, want)
	}
}

// Tails that were begun while the secrets could not be known do not show them once they are known.
func TestExecJobTailsOfSecretsThatComeBack(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	sandbox := w.box()
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "hidden"}, StringData: map[string]string{"key": "first-value"},
	})
	plain := func() *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "plain"}, Data: map[string]string{"key": "x"}}
	}
	w.create(plain())
	job := w.job("forgetful", `echo "$HIDDEN"; until [ -e go ]; do sleep 0.05; done; echo more; until [ -e end ]; do sleep 0.05; done`)
	job.Spec.Env = []v1alpha1.ExecEnvVar{
		{Name: "HIDDEN", SecretKeyRef: &v1alpha1.SecretKeyReference{Name: "hidden", Key: "key"}},
		{Name: "PLAIN", ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "plain", Key: "key"}},
	}
	w.create(job)
	awaitTail := func(tail string) {
		t.Helper()
		eventually(w, fmt.Sprintf("the tail is %q", tail), func() error {
			if err := w.api.Get(w.ctx, client.ObjectKeyFromObject(job), job); err != nil {
				return err
			}
			if strings.Contains(job.Status.StdoutTail, "first") {
				t.Fatalf("the tail shows %q", job.Status.StdoutTail)
			}
			if job.Status.StdoutBytes == nil || job.Status.StdoutTail != tail {
				return errors.New(job.Status.StdoutTail)
			}
			return nil
		})
	}
	awaitTail("***\n")
	w.stop()
	if err := w.api.Delete(w.ctx, plain()); err != nil {
		t.Fatal(err)
	}
	w.startOperator()
	awaitTail("")
	w.create(plain())
	awaitTail("***\n")
	w.guest(sandbox, "touch go")
	awaitTail("***\nmore\n")
	w.guest(sandbox, "touch end")
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if job.Status.StdoutTail != "***\nmore\n" {
		t.Errorf("in the end the tail is %q", job.Status.StdoutTail)
	}
}

// Values of Secrets are in no event, no condition and not in the log, whatever becomes of the job.
func TestExecJobTellsNoSecrets(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.box()
	value := "unheard-of-" + w.namespace
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "hidden"}, StringData: map[string]string{"key": value, "nul": value + "\x00"},
	})
	job := func(name, key, script string) *v1alpha1.ExecJob {
		job := w.job(name, script)
		job.Spec.Env = []v1alpha1.ExecEnvVar{{Name: "HIDDEN", SecretKeyRef: &v1alpha1.SecretKeyReference{Name: "hidden", Key: key}}}
		job.Spec.Files = []v1alpha1.SandboxFile{{Path: "/tmp/hidden", SecretKeyRef: &v1alpha1.SecretKeyReference{Name: "hidden", Key: "key"}}}
		w.create(job)
		return job
	}
	failing := job("failing", "key", `echo "$HIDDEN" | tee /dev/stderr; cat /tmp/hidden; exit 7`)
	awaitReason(w, failing, v1alpha1.ReasonNonZeroExit)
	unusable := job("unusable", "nul", "true")
	awaitReason(w, unusable, v1alpha1.ReasonStartFailed)
	var events string
	eventually(w, "the outcomes are events", func() error {
		var list eventsv1.EventList
		err := w.api.List(w.ctx, &list, client.InNamespace(w.namespace))
		events = fmt.Sprintf("%+v", list.Items)
		for _, reason := range []string{v1alpha1.ReasonNonZeroExit, v1alpha1.ReasonStartFailed} {
			if !strings.Contains(events, reason) {
				err = errors.Join(err, errors.New("none of "+reason))
			}
		}
		return err
	})
	logged, err := os.ReadFile(managersLog)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"the events": events, "the log": string(logged), "a status": fmt.Sprintf("%+v %+v", failing.Status, unusable.Status),
	} {
		if strings.Contains(text, value) {
			t.Errorf("%s: a value of a Secret is in it", what)
		}
	}
	if !strings.Contains(string(logged), "execjob") {
		t.Errorf("the log has %d bytes", len(logged))
	}
}

// The end of much output is kept as well as its beginning, and what is missing between is counted.
func TestExecJobOutputPastItsLimit(t *testing.T) {
	t.Parallel()
	w := newOperatedWorld(t, wrenndev.Config{})
	w.box()
	job := w.job("chatty", "i=10000; while [ $i -lt 40000 ]; do echo $i; i=$((i+1)); done")
	job.Spec.Output.LimitBytes = 65536
	w.create(job)
	awaitReason(w, job, v1alpha1.ReasonSucceeded)
	if got := job.Status.Truncated; got != 6*30000-65536 {
		t.Errorf("%d bytes are truncated", got)
	}
	out := w.output(job)
	if len(out) != 65536 || !strings.HasPrefix(out, "10000\n10001\n") || !strings.HasSuffix(out, "39998\n39999\n") {
		t.Errorf("%d bytes are stored", len(out))
	}
	quiet := w.job("quiet", "echo out; exit 3")
	quiet.Spec.Output.ConfigMaps = v1alpha1.OutputConfigMapsNever
	w.create(quiet)
	awaitReason(w, quiet, v1alpha1.ReasonNonZeroExit)
	if quiet.Status.StdoutTail != "out\n" || quiet.Status.OutputConfigMaps != nil {
		t.Errorf("status %+v", quiet.Status)
	}
}
