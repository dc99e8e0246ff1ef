package localkube

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

var gadgets = schema.GroupVersionResource{Group: "localkube.test", Version: "v1", Resource: "gadgets"}

// newNamespace makes a namespace that no other test uses.
func newNamespace(t *testing.T, cp *ControlPlane) string {
	t.Helper()
	namespace, err := cp.clients.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

func newGadget(t *testing.T, cp *ControlPlane, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	gadget := &unstructured.Unstructured{}
	gadget.SetGroupVersionKind(gadgets.GroupVersion().WithKind("Gadget"))
	gadget.SetName(name)
	made, err := dynamic.NewForConfigOrDie(cp.RESTConfig()).Resource(gadgets).Namespace(namespace).
		Create(t.Context(), gadget, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func newConfigMap(t *testing.T, cp *ControlPlane, namespace, name string, owners ...metav1.OwnerReference) error {
	t.Helper()
	_, err := cp.clients.CoreV1().ConfigMaps(namespace).Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owners}}, metav1.CreateOptions{})
	return err
}

func TestNamespaceDeletion(t *testing.T) {
	t.Parallel()
	cp := sharedControlPlane(t)
	namespace := newNamespace(t, cp)
	newGadget(t, cp, namespace, "content")
	if err := cp.clients.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "namespace gone", func() error {
		left, err := cp.clients.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("%w: %v %w", errStill, left.Status.Conditions, err)
	})
}

func TestGarbageCollectionByOwnerReference(t *testing.T) {
	t.Parallel()
	cp := sharedControlPlane(t)
	namespace := newNamespace(t, cp)
	owner := newGadget(t, cp, namespace, "owner")
	if err := newConfigMap(t, cp, namespace, "owned", *metav1.NewControllerRef(owner, owner.GroupVersionKind())); err != nil {
		t.Fatal(err)
	}
	if err := newConfigMap(t, cp, namespace, "free"); err != nil {
		t.Fatal(err)
	}
	err := dynamic.NewForConfigOrDie(cp.RESTConfig()).Resource(gadgets).Namespace(namespace).
		Delete(t.Context(), owner.GetName(), metav1.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "owned ConfigMap gone", func() error {
		_, err := cp.clients.CoreV1().ConfigMaps(namespace).Get(t.Context(), "owned", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("%w: %w", errStill, err)
	})
	if _, err := cp.clients.CoreV1().ConfigMaps(namespace).Get(t.Context(), "free", metav1.GetOptions{}); err != nil {
		t.Errorf("the ConfigMap without owner: %v", err)
	}
}

func TestServiceAccountHasOnlyItsRights(t *testing.T) {
	t.Parallel()
	cp := sharedControlPlane(t)
	namespace := newNamespace(t, cp)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}
	if _, err := cp.clients.CoreV1().ServiceAccounts(namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "robot.kubeconfig")
	if err := cp.WriteServiceAccountKubeconfig(t.Context(), namespace, "robot", path); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	robot := kubernetes.NewForConfigOrDie(config)

	_, err = robot.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{})
	if user := "system:serviceaccount:" + namespace + ":robot"; !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), user) {
		t.Fatalf("listing Secrets without any right: %v, want it forbidden to %s", err, user)
	}

	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "robot"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}}},
	}
	if _, err := cp.clients.RbacV1().Roles(namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "robot"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "robot"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "robot"}},
	}
	if _, err := cp.clients.RbacV1().RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the granted right", func() error {
		_, err := robot.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{})
		return err
	})
	if _, err := robot.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing Secrets with a right to something else: %v, want it forbidden", err)
	}
}

func TestKubeconfigOfNoServiceAccount(t *testing.T) {
	t.Parallel()
	cp := sharedControlPlane(t)
	err := cp.WriteServiceAccountKubeconfig(t.Context(), "default", "nobody", filepath.Join(t.TempDir(), "kubeconfig"))
	if !apierrors.IsNotFound(err) {
		t.Errorf("error %v, want that there is no such ServiceAccount", err)
	}
}

// Without the quota controller a ResourceQuota would refuse everything, as its status would stay empty.
func TestResourceQuotaCountsAndRefuses(t *testing.T) {
	t.Parallel()
	cp := sharedControlPlane(t)
	namespace := newNamespace(t, cp)
	eventually(t, "the root certificate published", func() error {
		_, err := cp.clients.CoreV1().ConfigMaps(namespace).Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		return err
	})
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "two-configmaps"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("2")}},
	}
	if _, err := cp.clients.CoreV1().ResourceQuotas(namespace).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "room for one ConfigMap", func() error { return newConfigMap(t, cp, namespace, "second") })
	eventually(t, "no room for another", func() error {
		if err := newConfigMap(t, cp, namespace, "third"); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota") {
			return fmt.Errorf("%w: %w", errStill, err)
		}
		return nil
	})
}
