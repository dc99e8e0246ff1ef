package localkube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Options say how to start a control plane. The zero value is a good one.
type Options struct {
	// DataDir is where etcd's data, certificates, kubeconfigs and logs go. It is made if it is not there, it may
	// hold the data of an earlier control plane (which the new one then continues, under new certificates and on a
	// new port), and it is never removed. Empty means a temporary directory that Stop removes.
	DataDir string
	// CRDDirs are directories whose CustomResourceDefinitions are installed before Start returns.
	CRDDirs []string
	// Log gets a line for each step of the start, and one if a server ends by itself. Nil means none.
	Log io.Writer
	// WithoutControllerManager leaves out garbage collection, namespace deletion and default ServiceAccounts. It
	// saves memory and about two seconds.
	WithoutControllerManager bool
	// Assets are the programs to run. Nil means those of EnsureAssets, which are built where they are missing.
	Assets *Assets
}

// ControlPlane is a running control plane. Its methods can be used by several goroutines at once.
type ControlPlane struct {
	dataDir    string
	socketDir  string
	remove     []string // directories of our making
	lock       heldLock
	logTo      *lineWriter
	assets     Assets
	kubeconfig string
	findPort   func(context.Context) (int, error)

	credentials credentials
	config      *rest.Config
	clients     kubernetes.Interface

	etcd              *process
	apiServer         *process
	controllerManager *process

	stopOnce sync.Once
	stopping chan struct{} // closed when the end begins
	done     chan struct{} // closed when it is over
	stopErr  error         // set before done is closed
}

// Start starts a control plane and returns when it is ready to be used: the API server answers, the CRDs are
// served, and, unless there is no controller manager, the default ServiceAccount is there. It takes two to five
// seconds on an idle machine, after a build of the programs if there are none.
//
// The control plane ends when ctx is done or Stop is called, whichever is first. When Start fails nothing is left
// running.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	cp := newControlPlane(options.Log)
	if err := cp.start(ctx, options); err != nil {
		return nil, errors.Join(fmt.Errorf("local control plane: %w", err), cp.Stop())
	}
	return cp, nil
}

func newControlPlane(log io.Writer) *ControlPlane {
	return &ControlPlane{
		logTo:    &lineWriter{to: log},
		findPort: freePort,
		stopping: make(chan struct{}),
		done:     make(chan struct{}),
	}
}

func (cp *ControlPlane) start(ctx context.Context, options Options) error {
	if err := cp.prepare(ctx, options); err != nil {
		return err
	}
	cp.log("starting etcd")
	if err := cp.startEtcd(ctx); err != nil {
		return err
	}
	cp.log("starting kube-apiserver")
	if err := cp.startAPIServer(ctx); err != nil {
		return err
	}
	if err := cp.waitFor(ctx, "the default namespace", cp.defaultNamespaceExists); err != nil {
		return err
	}
	if len(options.CRDDirs) > 0 {
		cp.log("installing CRDs")
		if err := cp.installCRDs(ctx, options.CRDDirs); err != nil {
			return err
		}
	}
	if !options.WithoutControllerManager {
		cp.log("starting kube-controller-manager")
		if err := cp.startControllerManager(ctx); err != nil {
			return err
		}
	}
	go cp.supervise(ctx)
	cp.log("ready at %s", cp.config.Host)
	return nil
}

// prepare sees to everything that must be there before the first process is.
func (cp *ControlPlane) prepare(ctx context.Context, options Options) error {
	if options.Assets != nil {
		cp.assets = *options.Assets
	} else {
		assets, err := ensureAssets(ctx, cp.logTo, !options.WithoutControllerManager)
		if err != nil {
			return err
		}
		cp.assets = assets
	}
	if err := cp.checkPrograms(!options.WithoutControllerManager); err != nil {
		return err
	}
	if err := cp.makeDirs(options.DataDir); err != nil {
		return err
	}
	var err error
	if cp.lock, err = tryLockFile(filepath.Join(cp.dataDir, "lock")); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	cp.kubeconfig = filepath.Join(cp.dataDir, "admin.kubeconfig")
	cp.credentials, err = newCredentials(filepath.Join(cp.dataDir, "certificates"))
	return err
}

// checkPrograms fails before the first server is started if a later one could not be.
func (cp *ControlPlane) checkPrograms(controllerManager bool) error {
	needed := []string{cp.assets.Etcd, cp.assets.APIServer}
	if controllerManager {
		needed = append(needed, cp.assets.ControllerManager)
	}
	for _, path := range needed {
		if err := checkExecutable(path); err != nil {
			return err
		}
	}
	return nil
}

func (cp *ControlPlane) makeDirs(dataDir string) (err error) {
	if dataDir == "" {
		if cp.dataDir, err = os.MkdirTemp("", "localkube-"); err != nil {
			return err
		}
		cp.remove = append(cp.remove, cp.dataDir)
	} else {
		if cp.dataDir, err = filepath.Abs(dataDir); err != nil {
			return err
		}
		if err := os.MkdirAll(cp.dataDir, 0o700); err != nil {
			return err
		}
	}
	if cp.socketDir, err = makeSocketDir(cp.dataDir); err != nil {
		return err
	}
	if cp.socketDir != cp.dataDir {
		cp.remove = append(cp.remove, cp.socketDir)
	}
	return nil
}

// useEndpoint makes the admin's configuration for an API server on this port.
func (cp *ControlPlane) useEndpoint(port int) error {
	cp.config = &rest.Config{
		Host: fmt.Sprintf("https://127.0.0.1:%d", port),
		TLSClientConfig: rest.TLSClientConfig{
			CAData:   cp.credentials.authority,
			CertData: cp.credentials.admin.certificate,
			KeyData:  cp.credentials.admin.key,
		},
		QPS: -1, // the server is ours alone: no limit
	}
	clients, err := kubernetes.NewForConfig(cp.config)
	if err != nil {
		return err
	}
	cp.clients = clients
	return cp.writeClientKubeconfig(cp.kubeconfig, "localkube-admin", cp.credentials.admin)
}

func (cp *ControlPlane) defaultNamespaceExists(ctx context.Context) error {
	_, err := cp.clients.CoreV1().Namespaces().Get(ctx, metav1.NamespaceDefault, metav1.GetOptions{})
	return err
}

func (cp *ControlPlane) defaultServiceAccountExists(ctx context.Context) error {
	_, err := cp.clients.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
	return err
}

// RESTConfig is a copy of the configuration of a client that may do everything (group system:masters).
func (cp *ControlPlane) RESTConfig() *rest.Config { return rest.CopyConfig(cp.config) }

// KubeconfigPath is the file (mode 0600, in the data directory) with the same rights as RESTConfig.
func (cp *ControlPlane) KubeconfigPath() string { return cp.kubeconfig }

// KubectlPath is the kubectl to use with KubeconfigPath.
func (cp *ControlPlane) KubectlPath() string { return cp.assets.Kubectl }

// DataDir is where the servers' logs are, as <name of the program>.log.
func (cp *ControlPlane) DataDir() string { return cp.dataDir }
