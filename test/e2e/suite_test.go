// Package e2e tests the real manager, as its own ServiceAccount with only its rights, in a real control plane with the
// embedded Wrenn.
package e2e

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/localrun"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

var (
	site    *localrun.Site
	program string
	// api reads and writes objects as an administrator.
	api client.Client
	// manager is the one that runs, nil while none does.
	manager *localrun.Manager
)

// hurried are arguments that make a manager wait less than the real service needs.
var hurried = []string{
	"--poll-interval=500ms", "--poll-interval-hurried=100ms", "--secret-refresh-interval=500ms", "--settle-time=1s", "--zap-log-level=info",
}

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(time.Minute)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "wrenn-operator")
}

var _ = BeforeSuite(func(ctx context.Context) {
	dir, err := os.MkdirTemp("", "wrenn-e2e-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return os.RemoveAll(dir) })
	program, err = localrun.BuildManager(ctx, dir, true)
	Expect(err).NotTo(HaveOccurred())
	site, err = localrun.Start(ctx, localrun.Options{Dir: dir, Log: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return site.Stop() })
	output, err := site.Shell(ctx, localrun.InstallRBAC).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	api, err = client.New(site.Cluster.RESTConfig(), client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
})

// What was made is gone, nobody was refused anything, and the key is nowhere.
var _ = AfterSuite(func(ctx context.Context) {
	if site == nil || site.Wrenn == nil {
		return
	}
	if manager != nil {
		stopManager(ctx)
	}
	Expect(alive()).To(BeEmpty(), "remote sandboxes are left")
	Expect(site.Wrenn.LiveProcesses()).To(BeZero(), "processes are left")
	log := managerLog()
	for line := range strings.Lines(log) {
		// Nobody may make anything in a namespace that is being deleted, not even an event.
		if strings.Contains(line, "is forbidden") && !strings.Contains(line, "because it is being terminated") {
			Fail("the manager lacks a right: " + line)
		}
	}
	Expect(log).NotTo(ContainSubstring("DATA RACE"), "the race detector has found something")
	Expect(log).NotTo(ContainSubstring(site.Wrenn.APIKey()), "the key is in the log")
})

// startManager starts the manager; the cleanup of the spec stops it, if the spec has not.
func startManager(ctx context.Context, args ...string) {
	GinkgoHelper()
	var err error
	manager, err = site.StartManager(ctx, program, append(append([]string{}, hurried...), args...)...)
	Expect(err).NotTo(HaveOccurred())
}

func stopManager(ctx context.Context) {
	GinkgoHelper()
	Expect(manager.Stop(ctx)).To(Succeed(), manager.LogTail(20))
	manager = nil
}

func killManager() {
	GinkgoHelper()
	Expect(manager.Kill()).To(Succeed())
	manager = nil
}

func managerLog() string {
	GinkgoHelper()
	log, err := os.ReadFile(site.Dir + "/manager.log")
	Expect(err).NotTo(HaveOccurred())
	return string(log)
}

// newNamespace makes a namespace with a Connection that works. At the end of the spec every object of it is deleted, and
// is seen to go.
func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}
	Expect(api.Create(ctx, namespace)).To(Succeed())
	Expect(api.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "wrenn"},
		StringData: map[string]string{"apiKey": site.Wrenn.APIKey()},
	})).To(Succeed())
	Expect(api.Create(ctx, &v1alpha1.Connection{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"},
		Spec: v1alpha1.ConnectionSpec{
			Endpoint: site.Wrenn.URL(), APIKeySecretRef: &v1alpha1.SecretKeyReference{Name: "wrenn", Key: "apiKey"},
		},
	})).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		site.Wrenn.Faults().Clear()
		deleteAll(ctx, namespace.Name)
		Expect(alive()).To(BeEmpty(), "remote sandboxes are left")
		Expect(site.Wrenn.LiveProcesses()).To(BeZero(), "processes are left")
		if manager != nil {
			stopManager(ctx)
		}
	})
	return namespace.Name
}

// deleteAll deletes the objects of a namespace and waits until they are gone.
func deleteAll(ctx context.Context, namespace string) {
	GinkgoHelper()
	for _, kind := range []client.Object{&v1alpha1.ExecJob{}, &v1alpha1.Snapshot{}, &v1alpha1.Sandbox{}} {
		Expect(api.DeleteAllOf(ctx, kind, client.InNamespace(namespace))).To(Succeed())
	}
	for _, list := range []client.ObjectList{&v1alpha1.ExecJobList{}, &v1alpha1.SnapshotList{}, &v1alpha1.SandboxList{}} {
		Eventually(func(g Gomega) {
			g.Expect(api.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
			left, err := runtimeItems(list)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(left).To(BeEmpty())
		}).Should(Succeed())
	}
}

// alive are the remote sandboxes that are not stopped and not failed.
func alive() []wrenndev.SandboxInfo {
	var found []wrenndev.SandboxInfo
	for _, sandbox := range site.Wrenn.Sandboxes() {
		if sandbox.Status != wrenndev.StatusStopped && sandbox.Status != wrenndev.StatusError {
			found = append(found, sandbox)
		}
	}
	return found
}
