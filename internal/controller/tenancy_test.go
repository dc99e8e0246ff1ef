package controller

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// tenants are two namespaces that share a team by way of a ClusterConnection, and a team that only the first may use.
type tenants struct {
	*world
	// intruder is the namespace that wants what the world's own namespace has.
	intruder string
	box      *v1alpha1.Sandbox
	golden   *v1alpha1.Snapshot
	// secretBox is in the team that the intruder may not use.
	secretBox *v1alpha1.Sandbox
}

func newTenants(t *testing.T) *tenants {
	t.Helper()
	w := newWorld(t, wrenndev.Config{Teams: []wrenndev.Team{{Name: "lent"}, {Name: "private"}}})
	w.others = []string{w.newNamespace()}
	w.startOperator()
	w.secret("wrenn", "apiKey", w.wrenn.APIKeyOf("lent"))
	w.secret("private", "apiKey", w.wrenn.APIKeyOf("private"))
	w.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "private"}, Data: map[string]string{"apiKey": "x"}})
	w.lendAs("lent-"+w.namespace, "wrenn", to(w.namespace, w.others[0]))
	w.lendAs("private-"+w.namespace, "private", to(w.namespace))
	private := w.connection(w.wrenn.URL())
	w.create(private)
	tn := &tenants{world: w, intruder: w.others[0], box: w.sandbox("source"), golden: w.snapshot("golden"), secretBox: w.sandbox("secret")}
	tn.box.Spec.ConnectionRef = tn.lent()
	tn.secretBox.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindCluster, Name: "private-" + w.namespace}
	tn.golden.Spec.SnapshotName = "golden"
	for _, obj := range []client.Object{tn.box, tn.secretBox, tn.golden} {
		w.create(obj)
	}
	awaitReason(w, tn.golden, v1alpha1.ReasonTaken)
	awaitUntroubled(w, tn.golden)
	awaitReason(w, tn.box, v1alpha1.ReasonRunning)
	awaitReason(w, tn.secretBox, v1alpha1.ReasonRunning)
	return tn
}

// to selects namespaces by their names.
func to(namespaces ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: namespaces},
	}}
}

func (tn *tenants) lent() *v1alpha1.ConnectionReference {
	return &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindCluster, Name: "lent-" + tn.namespace}
}

// The intruder's objects. Each may be changed before it is made.

func (tn *tenants) sandboxOf(name string, change func(*v1alpha1.Sandbox)) *v1alpha1.Sandbox {
	sandbox := &v1alpha1.Sandbox{ObjectMeta: metav1.ObjectMeta{Namespace: tn.intruder, Name: name, Annotations: map[string]string{}}}
	sandbox.Spec.ConnectionRef = tn.lent()
	change(sandbox)
	return sandbox
}

func (tn *tenants) snapshotOf(name, source string, change func(*v1alpha1.Snapshot)) *v1alpha1.Snapshot {
	snapshot := &v1alpha1.Snapshot{ObjectMeta: metav1.ObjectMeta{Namespace: tn.intruder, Name: name, Annotations: map[string]string{}}}
	snapshot.Spec.SandboxRef.Name = source
	change(snapshot)
	return snapshot
}

func (tn *tenants) jobOf(name, sandbox string, env ...v1alpha1.ExecEnvVar) *v1alpha1.ExecJob {
	job := tn.job(name, "env")
	job.Namespace, job.Spec.SandboxRef.Name, job.Spec.Env = tn.intruder, sandbox, env
	return job
}

// forged is an annotation's value, as the operator itself would write it.
func (tn *tenants) forged(intent any) string {
	tn.t.Helper()
	text, err := json.Marshal(intent)
	if err != nil {
		tn.t.Fatal(err)
	}
	return string(text)
}

// bound is the connection of one of the Sandboxes.
func bound(sandbox *v1alpha1.Sandbox) v1alpha1.BoundConnection { return *sandbox.Status.Connection }

// intrusions are objects of the intruder that name what is not its own, and what each is told.
func (tn *tenants) intrusions() map[string]struct {
	object client.Object
	reason string
} {
	secret, config := &v1alpha1.SecretKeyReference{Name: "private", Key: "apiKey"}, &v1alpha1.ConfigMapKeyReference{Name: "private", Key: "apiKey"}
	type intrusion = struct {
		object client.Object
		reason string
	}
	return map[string]intrusion{
		"a Sandbox with the other's Connection": {tn.sandboxOf("connection", func(s *v1alpha1.Sandbox) {
			s.Spec.ConnectionRef = &v1alpha1.ConnectionReference{Kind: v1alpha1.ConnectionKindNamespaced, Name: "default"}
		}), v1alpha1.ReasonConnectionNotFound},
		"a Sandbox with a ClusterConnection that is not lent": {tn.sandboxOf("unlent", func(s *v1alpha1.Sandbox) {
			s.Spec.ConnectionRef = tn.secretBox.Spec.ConnectionRef
		}), v1alpha1.ReasonConnectionNotFound},
		"a Sandbox from the other's Snapshot": {tn.sandboxOf("snapshot", func(s *v1alpha1.Sandbox) {
			s.Spec.SnapshotRef = &v1alpha1.SnapshotReference{Name: "golden"}
		}), v1alpha1.ReasonSnapshotNotFound},
		"a Sandbox that adopts the other's remote": {tn.sandboxOf("adopts", func(s *v1alpha1.Sandbox) {
			s.Spec.AdoptID = tn.box.Status.SandboxID
		}), v1alpha1.ReasonSandboxClaimed},
		"a Sandbox annotated with the other's remote": {tn.sandboxOf("annotated", func(s *v1alpha1.Sandbox) {
			s.Annotations[v1alpha1.AnnotationSandboxID] = tn.box.Status.SandboxID
		}), v1alpha1.ReasonSandboxClaimed},
		"a Sandbox that decides for the other's remote": {tn.sandboxOf("decides", func(s *v1alpha1.Sandbox) {
			s.Annotations[v1alpha1.AnnotationCreateIntent] = tn.forged(createIntent{ID: "f", Time: time.Now(), Template: "minimal", Connection: bound(tn.box)})
			s.Annotations[v1alpha1.AnnotationCreateOutcome] = outcomeAdopt + tn.box.Status.SandboxID
		}), v1alpha1.ReasonCreateOutcomeUnknown},
		"a Sandbox with an intent for a team that is not lent": {tn.sandboxOf("foreign-intent", func(s *v1alpha1.Sandbox) {
			s.Finalizers = []string{v1alpha1.Finalizer}
			s.Annotations[v1alpha1.AnnotationCreateIntent] = tn.forged(createIntent{ID: "f", Time: time.Now(), Template: "minimal", Connection: bound(tn.secretBox)})
			s.Annotations[v1alpha1.AnnotationCreateOutcome] = outcomeAdopt + tn.secretBox.Status.SandboxID
		}), v1alpha1.ReasonConnectionNotFound},
		"a Sandbox with the other's Secret": {tn.sandboxOf("secret-file", func(s *v1alpha1.Sandbox) {
			s.Spec.Files = []v1alpha1.SandboxFile{{Path: "/f", SecretKeyRef: secret}}
		}), v1alpha1.ReasonFileSourceNotFound},
		"a Sandbox with the other's ConfigMap": {tn.sandboxOf("config-file", func(s *v1alpha1.Sandbox) {
			s.Spec.Files = []v1alpha1.SandboxFile{{Path: "/f", ConfigMapKeyRef: config}}
		}), v1alpha1.ReasonFileSourceNotFound},
		"a Snapshot of the other's Sandbox": {tn.snapshotOf("source", "source", func(*v1alpha1.Snapshot) {}), v1alpha1.ReasonSandboxNotFound},
		"a Snapshot with the other's name": {tn.snapshotOf("named", "own", func(s *v1alpha1.Snapshot) {
			s.Spec.SnapshotName = "golden"
		}), v1alpha1.ReasonNameTaken},
		"a Snapshot that claims to have taken the other's": {tn.snapshotOf("taken", "own", func(s *v1alpha1.Snapshot) {
			s.Spec.SnapshotName = "golden"
			s.Annotations[v1alpha1.AnnotationSnapshotIntent] = tn.forged(snapshotIntent{
				Time: time.Now(), SandboxID: tn.box.Status.SandboxID, Name: "golden", Resume: true, Connection: bound(tn.box),
			})
		}), v1alpha1.ReasonNameTaken},
		"an ExecJob in the other's Sandbox": {tn.jobOf("there", "source"), v1alpha1.ReasonSandboxNotFound},
		"an ExecJob with the other's Secret": {
			tn.jobOf("secret", "own", v1alpha1.ExecEnvVar{Name: "A", SecretKeyRef: secret}), v1alpha1.ReasonEnvNotFound,
		},
		"an ExecJob with the other's ConfigMap": {
			tn.jobOf("config", "own", v1alpha1.ExecEnvVar{Name: "A", ConfigMapKeyRef: config}), v1alpha1.ReasonEnvNotFound,
		},
		"a Connection with the other's Secret": {&v1alpha1.Connection{
			ObjectMeta: metav1.ObjectMeta{Namespace: tn.intruder, Name: "stolen"}, Spec: tn.connection(tn.wrenn.URL()).Spec,
		}, v1alpha1.ReasonSecretNotFound},
	}
}

// Nothing in one namespace can use, read, pause, run in or destroy what belongs to another, by any reference of any kind
// and by no annotation, although both use the same team.
func TestNothingCrossesNamespaces(t *testing.T) {
	t.Parallel()
	tn := newTenants(t)
	own := tn.sandboxOf("own", func(*v1alpha1.Sandbox) {})
	tn.create(own)
	awaitReason(tn.world, own, v1alpha1.ReasonRunning)
	tn.wrenn.ResetRequests()
	intrusions := tn.intrusions()
	for _, each := range intrusions {
		tn.create(each.object)
	}
	for name, each := range intrusions {
		t.Log(name)
		awaitReason(tn.world, each.object, each.reason)
	}
	tn.checkUntouched()
	for name, each := range intrusions {
		t.Log(name)
		tn.remove(each.object)
	}
	tn.checkUntouched()
	awaitReason(tn.world, tn.box, v1alpha1.ReasonRunning)
	awaitReason(tn.world, tn.secretBox, v1alpha1.ReasonRunning)
	awaitReason(tn.world, tn.golden, v1alpha1.ReasonTaken)
}

// An intent that names the source of somebody else makes no snapshot of it, and does not resume it.
func TestSnapshotIntentOfAnotherSandbox(t *testing.T) {
	t.Parallel()
	tn := newTenants(t)
	edit(tn.world, tn.box, func(s *v1alpha1.Sandbox) { s.Spec.OperatingMode = v1alpha1.OperatingModePaused })
	awaitReason(tn.world, tn.box, v1alpha1.ReasonPaused)
	tn.wrenn.ResetRequests()
	forger := tn.snapshotOf("forger", "nobody", func(*v1alpha1.Snapshot) {})
	tn.create(forger)
	awaitReason(tn.world, forger, v1alpha1.ReasonSandboxNotFound)
	edit(tn.world, forger, func(s *v1alpha1.Snapshot) {
		setAnnotation(s, v1alpha1.AnnotationSnapshotIntent, tn.forged(snapshotIntent{
			Time: time.Now(), SandboxID: tn.box.Status.SandboxID, Name: remoteName(s), Resume: true, Connection: bound(tn.box),
		}))
	})
	awaitUntroubled(tn.world, forger)
	awaitReason(tn.world, forger, v1alpha1.ReasonSandboxNotFound)
	tn.remove(forger)
	tn.checkUntouched()
	awaitReason(tn.world, tn.box, v1alpha1.ReasonPaused)
}

// remove deletes an object of the intruder. One that is held, since it may not use the connection that its intent names,
// is let go when the intent is taken away.
func (tn *tenants) remove(obj client.Object) {
	tn.t.Helper()
	if err := tn.api.Delete(tn.ctx, obj); err != nil {
		tn.t.Fatal(err)
	}
	if obj.GetName() == "foreign-intent" {
		awaitReason(tn.world, obj, v1alpha1.ReasonConnectionNotFound)
		edit(tn.world, obj, func(o client.Object) { o.SetAnnotations(nil) })
	}
	awaitGone(tn.world, obj)
}

// checkUntouched checks that no request was about what the intruder wants, and that all of it is there.
func (tn *tenants) checkUntouched() {
	tn.t.Helper()
	for _, request := range tn.wrenn.Requests() {
		if slices.Contains([]string{tn.box.Status.SandboxID, tn.secretBox.Status.SandboxID}, request.Sandbox) || strings.HasSuffix(request.Path, "/golden") {
			tn.t.Errorf("%s %s", request.Method, request.Path)
		}
	}
	for _, id := range []string{tn.box.Status.SandboxID, tn.secretBox.Status.SandboxID} {
		if info, _ := tn.wrenn.Sandbox(id); info.Status == wrenndev.StatusStopped {
			tn.t.Errorf("%s is stopped", id)
		}
	}
	if names := fmt.Sprint(tn.remoteSnapshots()); names != "[golden]" {
		tn.t.Errorf("snapshots: %s", names)
	}
}
