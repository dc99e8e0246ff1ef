package localrun

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/localkube"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// Where the manifests put the operator.
const (
	// OperatorNamespace is the operator's own namespace.
	OperatorNamespace = "wrenn-system"
	// OperatorServiceAccount is the name of its ServiceAccount.
	OperatorServiceAccount = "wrenn-operator"
	// LeaseName is the name of the lease, in that namespace, that managers compete for.
	LeaseName = "wrenn-operator"
)

// shellGrace is how long a line of a shell may take to end when it is told to.
const shellGrace = 5 * time.Second

// Options say how to start a Site.
type Options struct {
	// Dir is where kubeconfigs and logs go. It must be there; it is not removed.
	Dir string
	// Log gets a line for each step of the start. Nil means none.
	Log io.Writer
	// Wrenn is the configuration of the embedded Wrenn. Its state goes under Dir.
	Wrenn wrenndev.Config
}

// Site is a control plane and an embedded Wrenn, both on loopback, for managers to run against.
type Site struct {
	// Cluster has the CRDs of this checkout.
	Cluster *localkube.ControlPlane
	// Wrenn has no sandboxes at first.
	Wrenn *wrenndev.Server
	// Dir is where kubeconfigs and logs are.
	Dir string
	// Root is the top directory of this checkout.
	Root string

	// endLife is called by Stop. The context of Start does not end the control plane: at a Ctrl-C the manager needs it
	// for a moment longer, to come to its own end.
	endLife context.CancelFunc
}

// Start starts the control plane, which is built first where this machine has none, and the embedded Wrenn. The context
// bounds the start only. When Start fails nothing is left running.
func Start(ctx context.Context, options Options) (*Site, error) {
	root, err := checkout()
	if err != nil {
		return nil, err
	}
	site := &Site{Dir: options.Dir, Root: root}
	var life context.Context
	life, site.endLife = context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, site.endLife)()
	if err := site.start(life, options); err != nil {
		return nil, errors.Join(err, site.Stop())
	}
	return site, nil
}

func (s *Site) start(ctx context.Context, options Options) error {
	var err error
	s.Cluster, err = localkube.Start(ctx, localkube.Options{
		DataDir: filepath.Join(options.Dir, "control-plane"),
		CRDDirs: []string{filepath.Join(s.Root, "config", "crd", "bases")},
		Log:     options.Log,
	})
	if err != nil {
		return err
	}
	config := options.Wrenn
	config.DataDir = filepath.Join(options.Dir, "wrenn")
	s.Wrenn, err = wrenndev.Start(ctx, config)
	return err
}

// Stop ends the embedded Wrenn with every process in its sandboxes, and the control plane.
func (s *Site) Stop() error {
	defer s.endLife()
	var errs []error
	if s.Wrenn != nil {
		errs = append(errs, s.Wrenn.Close())
	}
	if s.Cluster != nil {
		errs = append(errs, s.Cluster.Stop())
	}
	return errors.Join(errs...)
}

// Environment is that of this process, changed so that a shell finds kubectl, and kubectl this control plane.
func (s *Site) Environment() []string {
	return append(os.Environ(),
		"KUBECONFIG="+s.Cluster.KubeconfigPath(),
		"PATH="+filepath.Dir(s.Cluster.KubectlPath())+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// Shell is a line for /bin/sh in the top directory of the checkout, ready to be run. The end of the context ends the
// shell and everything that the line has started.
func (s *Site) Shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", line) //nolint:gosec // G204: the callers' own lines
	cmd.Dir = s.Root
	cmd.Env = s.Environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = shellGrace
	return cmd
}

// checkout is the top directory of the checkout that the working directory is in.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "config", "crd", "bases")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the checkout: no config/crd/bases here or further up; run this inside a checkout")
		}
		dir = parent
	}
}
