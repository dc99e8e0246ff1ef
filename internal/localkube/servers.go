package localkube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// controllers are those whose work shows in objects that have nothing to do with nodes.
var controllers = []string{
	"clusterrole-aggregation-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"resourcequota-controller", // without it no quota has a status, and the admission plugin then refuses everything
	"root-ca-certificate-publisher-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
}

// serviceAccountIssuer is the issuer in ServiceAccount tokens, as clusters have it by default.
const serviceAccountIssuer = "https://kubernetes.default.svc"

// startEtcd starts etcd on a Unix socket: no port to find, and nobody but this user can read the data.
func (cp *ControlPlane) startEtcd(ctx context.Context) error {
	client, peer := "unix://"+filepath.Join(cp.socketDir, "etcd.sock"), "unix://"+filepath.Join(cp.socketDir, "peer.sock")
	etcd, err := startProcess("etcd", cp.assets.Etcd, []string{
		"--name=localkube",
		"--data-dir=" + filepath.Join(cp.dataDir, "etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=localkube=" + peer,
		"--unsafe-no-fsync", // a crash of the machine may lose the data; nobody would miss it
		"--log-level=warn",
	}, cp.dataDir)
	if err != nil {
		return err
	}
	cp.etcd = etcd
	return cp.waitFor(ctx, "etcd to listen", func(ctx context.Context) error {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, "unix", strings.TrimPrefix(client, "unix://"))
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

// startAPIServer starts the API server on a free port. Between the moment that a port is found free and the moment
// that the server binds it another program can take it; then another port is tried.
func (cp *ControlPlane) startAPIServer(ctx context.Context) error {
	const attempts = 5
	var err error
	for range attempts {
		var port int
		if port, err = cp.findPort(ctx); err != nil {
			return err
		}
		if err = cp.useEndpoint(port); err != nil {
			return err
		}
		if cp.apiServer, err = startProcess("kube-apiserver", cp.assets.APIServer, cp.apiServerFlags(port), cp.dataDir); err != nil {
			return err
		}
		err = cp.waitFor(ctx, "kube-apiserver to be ready", func(ctx context.Context) error {
			_, err := cp.clients.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
			return err
		})
		if err == nil || !cp.apiServer.ended() || !strings.Contains(cp.apiServer.logTail(), "address already in use") {
			return err
		}
		cp.log("kube-apiserver: port %d was taken meanwhile, trying another one", port)
	}
	return fmt.Errorf("no port stayed free for kube-apiserver in %d attempts: %w", attempts, err)
}

// apiServerFlags leave at its default whatever the operator's users would meet in a cluster of theirs; the
// admission plugins above all.
func (cp *ControlPlane) apiServerFlags(port int) []string {
	files := cp.credentials.files
	return []string{
		"--etcd-servers=unix://" + filepath.Join(cp.socketDir, "etcd.sock"),
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		// The endpoints of the kubernetes Service may not be a loopback address: nobody publishes them.
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
		"--cert-dir=" + filepath.Join(cp.dataDir, "certificates"),
		"--tls-cert-file=" + files.serverCertificate,
		"--tls-private-key-file=" + files.serverKey,
		"--client-ca-file=" + files.authority,
		"--authorization-mode=RBAC",
		"--service-account-issuer=" + serviceAccountIssuer,
		"--service-account-key-file=" + files.serviceAccountKey,
		"--service-account-signing-key-file=" + files.serviceAccountKey,
		"--service-cluster-ip-range=10.0.0.0/24",
		"--profiling=false",
	}
}

// startControllerManager starts the controllers and waits for the first thing that they do. The garbage collector
// learns of a resource at its start or half a minute later: CRDs are installed before it.
func (cp *ControlPlane) startControllerManager(ctx context.Context) error {
	files := cp.credentials.files
	kubeconfig := filepath.Join(cp.dataDir, "kube-controller-manager.kubeconfig")
	if err := cp.writeClientKubeconfig(kubeconfig, "system:kube-controller-manager", cp.credentials.controllerManager); err != nil {
		return err
	}
	manager, err := startProcess("kube-controller-manager", cp.assets.ControllerManager, []string{
		"--kubeconfig=" + kubeconfig,
		"--controllers=" + strings.Join(controllers, ","),
		"--use-service-account-credentials=true", // each controller with the rights of its own, as in real clusters
		"--leader-elect=false",
		"--secure-port=0",
		"--root-ca-file=" + files.authority,
		"--service-account-private-key-file=" + files.serviceAccountKey,
		"--concurrent-gc-syncs=4",
		"--concurrent-namespace-syncs=4",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
		"--resource-quota-sync-period=10s",
	}, cp.dataDir)
	if err != nil {
		return err
	}
	cp.controllerManager = manager
	return cp.waitFor(ctx, "the default ServiceAccount to be made", cp.defaultServiceAccountExists)
}

// freePort asks the system for a port on loopback that nobody listens on.
func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("finding a free port: not a TCP address")
	}
	return address.Port, nil
}

// makeSocketDir is the data directory itself, or a short one elsewhere where a socket's path in it would be longer
// than the system allows (104 bytes on some).
func makeSocketDir(dataDir string) (string, error) {
	const limit = 104 - len("/etcd.sock") - 1
	if len(dataDir) <= limit {
		return dataDir, nil
	}
	return os.MkdirTemp("", "localkube-")
}
