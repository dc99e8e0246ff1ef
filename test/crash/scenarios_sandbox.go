package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// box is the Sandbox that most scenarios are about.
var box = named[v1alpha1.Sandbox]("box")

// readyBox begins with a box that runs, and is recorded.
func readyBox(changes ...func(*v1alpha1.Sandbox)) []step {
	return []step{connected(), sandbox("box", changes...), until(box, v1alpha1.ReasonRunning, recorded)}
}

// recorded tells that nothing is left to be written of a Sandbox.
func recorded(obj client.Object) bool {
	sandbox, ok := obj.(*v1alpha1.Sandbox)
	return ok && sandbox.Annotations[v1alpha1.AnnotationSandboxID] == sandbox.Status.SandboxID && sandbox.Annotations[v1alpha1.AnnotationCreateIntent] == ""
}

// sandboxScenarios are about the life of a Sandbox whose remote does as it is told.
func sandboxScenarios() []scenario { return append(birthScenarios(), lifeScenarios()...) }

// birthScenarios end with a new Sandbox being what it should.
func birthScenarios() []scenario {
	paused := mode(v1alpha1.OperatingModePaused)
	return []scenario{
		{
			name:   "create",
			before: []step{connected()},
			during: []step{sandbox("box"), reason(box, v1alpha1.ReasonRunning)},
		},
		{
			name:   "create-shared",
			during: []step{sandbox("box"), connects(v1alpha1.OwnershipShared), reason(box, v1alpha1.ReasonRunning)},
		},
		{
			name:   "create-idling",
			before: []step{connected()},
			during: []step{sandbox("box", idling(3600)), reason(box, v1alpha1.ReasonRunning)},
		},
		{
			name:   "create-paused",
			before: []step{connected()},
			during: []step{sandbox("box", paused), reason(box, v1alpha1.ReasonPaused)},
		},
		{
			name:   "create-files",
			before: []step{connected(), configMap("files")},
			during: []step{sandbox("box", withFiles), reason(box, v1alpha1.ReasonRunning)},
			check:  filesAreThere,
		},
	}
}

// lifeScenarios change a Sandbox that is there.
func lifeScenarios() []scenario {
	paused, running := mode(v1alpha1.OperatingModePaused), mode(v1alpha1.OperatingModeRunning)
	return []scenario{
		{
			name:   "pause",
			before: readyBox(),
			during: []step{edit("box", paused), reason(box, v1alpha1.ReasonPaused)},
		},
		{
			name:   "resume",
			before: append(readyBox(idling(3600)), edit("box", paused), reason(box, v1alpha1.ReasonPaused)),
			during: []step{edit("box", running), reason(box, v1alpha1.ReasonRunning)},
		},
		{
			name:   "pause-resume",
			before: readyBox(),
			during: []step{edit("box", paused), met("wrenn.pause"), edit("box", running), reason(box, v1alpha1.ReasonRunning)},
		},
		{
			name:   "edit",
			before: readyBox(),
			during: []step{
				edit("box", func(s *v1alpha1.Sandbox) { s.Spec.Ports = []v1alpha1.SandboxPort{{Name: "web", Port: 8080}} }),
				edit("box", func(s *v1alpha1.Sandbox) {
					s.Spec.TTLSeconds = 3600
					s.Spec.RecoveryPolicy = v1alpha1.RecoveryPolicyRecreate
				}),
				reason(box, v1alpha1.ReasonRunning),
				edit("box", paused),
				edit("box", func(s *v1alpha1.Sandbox) { s.Spec.Ports = nil; s.Spec.TTLSeconds = 0 }),
				reason(box, v1alpha1.ReasonPaused),
			},
		},
		{
			name:   "expire",
			before: []step{connected(), sandbox("box"), until(box, v1alpha1.ReasonRunning, recorded)},
			during: []step{edit("box", shutsDown(v1alpha1.ShutdownPolicyRetain)), reason(box, v1alpha1.ReasonExpired)},
		},
		{
			name:   "expire-delete",
			before: []step{connected(), sandbox("box"), until(box, v1alpha1.ReasonRunning, recorded)},
			during: []step{edit("box", shutsDown(v1alpha1.ShutdownPolicyDelete)), gone(box)},
		},
	}
}

// shutsDown ends the life of a Sandbox now.
func shutsDown(policy v1alpha1.ShutdownPolicy) func(*v1alpha1.Sandbox) {
	return func(s *v1alpha1.Sandbox) {
		s.Spec.ShutdownTime, s.Spec.ShutdownPolicy = ptr.To(metav1.NewTime(time.Now())), policy
	}
}

// idling gives a Sandbox an idle timeout. No two Sandboxes that are there at a time may have the same.
func idling(seconds int32) func(*v1alpha1.Sandbox) {
	return func(s *v1alpha1.Sandbox) { s.Spec.IdleTimeoutSeconds = &seconds }
}

// configMap makes a ConfigMap with a file.
func configMap(name string) step {
	return creates(func(*world) client.Object {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, BinaryData: map[string][]byte{"binary": {0, 255, 10}}}
	})
}

func withFiles(s *v1alpha1.Sandbox) {
	s.Spec.Files = []v1alpha1.SandboxFile{
		{Path: "/srv/text", Content: ptr.To("hello\n")},
		{Path: "/srv/binary", ConfigMapKeyRef: &v1alpha1.ConfigMapKeyReference{Name: "files", Key: "binary"}},
	}
}

// filesAreThere reads the files of the spec from the remote.
func filesAreThere(ctx context.Context, w *world) ([]finding, error) {
	found, err := w.sandbox(ctx, "box")
	if err != nil {
		return nil, err
	}
	handle := w.hands.Sandbox(found.Status.SandboxID)
	for path, want := range map[string]string{"/srv/text": "hello\n", "/srv/binary": "\x00\xff\n"} {
		if content, err := handle.Download(ctx, path, 1<<20); err != nil || string(content) != want {
			return []finding{{class: diverged, text: "the file " + path + " is not there as it should be"}}, nil //nolint:nilerr // told as a finding
		}
	}
	return nil, nil
}
