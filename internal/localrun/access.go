package localrun

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
)

// InstallRBAC is the command that creates the operator's namespace, ServiceAccount and roles.
const InstallRBAC = "kubectl apply -k config/rbac"

// operatorKubeconfig writes a kubeconfig with which a program is the operator's ServiceAccount. It waits until the API
// server knows of the roles, which it learns of a moment after they were written.
func (s *Site) operatorKubeconfig(ctx context.Context) (string, error) {
	clients, err := kubernetes.NewForConfig(s.Cluster.RESTConfig())
	if err != nil {
		return "", err
	}
	// One right of the ClusterRole, and one of the Role.
	for _, right := range []authorizationv1.ResourceAttributes{
		{Group: v1alpha1.GroupVersion.Group, Resource: "sandboxes", Verb: "list"},
		{Group: "coordination.k8s.io", Resource: "leases", Verb: "update", Namespace: OperatorNamespace},
	} {
		if err := awaitRight(ctx, clients, right); err != nil {
			return "", err
		}
	}
	path := filepath.Join(s.Dir, "operator.kubeconfig")
	return path, s.Cluster.WriteServiceAccountKubeconfig(ctx, OperatorNamespace, OperatorServiceAccount, path)
}

func awaitRight(ctx context.Context, clients kubernetes.Interface, right authorizationv1.ResourceAttributes) error {
	user := "system:serviceaccount:" + OperatorNamespace + ":" + OperatorServiceAccount
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		review, err := clients.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &right},
		}, metav1.CreateOptions{})
		return err == nil && review.Status.Allowed, err
	})
	if err != nil {
		return fmt.Errorf("%s must be allowed to %s %s, which %q sees to: %w", user, right.Verb, right.Resource, InstallRBAC, err)
	}
	return nil
}
