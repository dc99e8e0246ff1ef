package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wrennhq/wrenn-operator/internal/localrun"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// stopWithin is how long the manager may take to end.
const stopWithin = time.Minute

// stage is what the demo plays on.
type stage struct {
	site    *localrun.Site
	manager *localrun.Manager
	// keyFile holds the API key, for kubectl to make a Secret of: it is shown nowhere.
	keyFile string
}

// run plays the demo, and leaves nothing behind but, where it fails, the logs.
func run(ctx context.Context, stay bool) error {
	dir, err := os.MkdirTemp("", "wrenn-demo-")
	if err != nil {
		return err
	}
	var s stage
	err = s.build(ctx, dir)
	if err == nil {
		err = play(ctx, &s, stay)
	}
	if err != nil && ctx.Err() == nil {
		s.reportFailure(dir)
		return errors.Join(err, s.strike(ctx))
	}
	if err := s.strike(ctx); err != nil {
		return err
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// play plays the scenes. One that is to stay skips the last, in which everything is deleted.
func play(ctx context.Context, s *stage, stay bool) error {
	for _, scene := range scenes {
		if err := scene.play(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", scene.title, err)
		}
	}
	if stay {
		s.invite()
		<-ctx.Done()
		return nil
	}
	if err := farewell.play(ctx, s); err != nil {
		return fmt.Errorf("%s: %w", farewell.title, err)
	}
	return s.nothingIsLeft(ctx)
}

// build brings up the site and the manager, which is built meanwhile.
func (s *stage) build(ctx context.Context, dir string) error {
	heading("A Kubernetes control plane, the embedded Wrenn and the operator, on this machine")
	var program string
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		program, err = localrun.BuildManager(groupCtx, dir, false)
		return err
	})
	group.Go(func() (err error) {
		s.site, err = localrun.Start(groupCtx, localrun.Options{Dir: dir, Log: os.Stdout})
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	border := ""
	if s.site.Wrenn.Isolation() == wrenndev.Directory {
		border = "; this system has no namespaces for it: its sandboxes are directories, which is no security border"
	}
	fmt.Printf("embedded Wrenn: ready at %s%s\n", s.site.Wrenn.URL(), border)
	s.keyFile = filepath.Join(dir, "api-key")
	if err := os.WriteFile(s.keyFile, []byte(s.site.Wrenn.APIKey()), 0o600); err != nil {
		return err
	}
	rbac := step{say: "What the operator may do, and no more, in a namespace of its own.", line: localrun.InstallRBAC}
	if err := rbac.play(ctx, s); err != nil {
		return err
	}
	return s.startManager(ctx, program)
}

func (s *stage) startManager(ctx context.Context, program string) (err error) {
	s.manager, err = s.site.StartManager(ctx, program,
		"--poll-interval=2s", "--poll-interval-hurried=200ms", "--secret-refresh-interval=2s")
	if err == nil {
		fmt.Printf("manager: ready, as ServiceAccount %s/%s\n", localrun.OperatorNamespace, localrun.OperatorServiceAccount)
	}
	return err
}

// strike ends everything, also after an interrupt.
func (s *stage) strike(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	var errs []error
	if s.manager != nil {
		errs = append(errs, s.manager.Stop(ctx))
	}
	if s.site != nil {
		errs = append(errs, s.site.Stop())
	}
	return errors.Join(errs...)
}

// invite tells a user of -stay what is there.
func (s *stage) invite() {
	heading("Yours until Ctrl-C")
	fmt.Printf("export KUBECONFIG=%s\n", s.site.Cluster.KubeconfigPath())
	if _, err := exec.LookPath("kubectl"); err != nil {
		fmt.Printf("export PATH=\"$PATH:%s\"\n", filepath.Dir(s.site.Cluster.KubectlPath()))
	}
	fmt.Printf("\nWrenn:  %s, with the key in Secret default/wrenn-api-key\nlogs:   %s\n        %s/*.log\n",
		s.site.Wrenn.URL(), s.manager.LogPath, s.site.Cluster.DataDir())
}

// reportFailure shows where to look.
func (s *stage) reportFailure(dir string) {
	heading("What to look at")
	if s.manager != nil {
		fmt.Printf("the end of the manager's log, %s:\n%s\n", s.manager.LogPath, s.manager.LogTail(30))
	}
	fmt.Printf("all logs are kept in %s\n", dir)
}
