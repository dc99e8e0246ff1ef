package localkube

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// serviceAccountTokenLifetime is the longest that a token of WriteServiceAccountKubeconfig is good for.
const serviceAccountTokenLifetime = 24 * time.Hour

// WriteServiceAccountKubeconfig writes a kubeconfig (mode 0600) at path with which a program outside the cluster
// is this ServiceAccount and has its rights and no others. The ServiceAccount must be there. Its token is good for
// 24 hours and is refused sooner if the ServiceAccount is deleted.
func (cp *ControlPlane) WriteServiceAccountKubeconfig(ctx context.Context, namespace, name, path string) error {
	seconds := int64(serviceAccountTokenLifetime / time.Second)
	request, err := cp.clients.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("token of ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return cp.writeKubeconfig(path, namespace, name, &api.AuthInfo{Token: request.Status.Token})
}

// writeClientKubeconfig writes a kubeconfig whose user is known by a client certificate.
func (cp *ControlPlane) writeClientKubeconfig(path, user string, pair keyPair) error {
	return cp.writeKubeconfig(path, metav1.NamespaceDefault, user, &api.AuthInfo{
		ClientCertificateData: pair.certificate,
		ClientKeyData:         pair.key,
	})
}

func (cp *ControlPlane) writeKubeconfig(path, namespace, user string, credential *api.AuthInfo) error {
	const cluster = "localkube"
	config := api.NewConfig()
	config.Clusters[cluster] = &api.Cluster{Server: cp.config.Host, CertificateAuthorityData: cp.credentials.authority}
	config.AuthInfos[user] = credential
	config.Contexts[cluster] = &api.Context{Cluster: cluster, AuthInfo: user, Namespace: namespace}
	config.CurrentContext = cluster
	if err := clientcmd.WriteToFile(*config, path); err != nil { // 0600
		return fmt.Errorf("kubeconfig for %s: %w", user, err)
	}
	return nil
}
