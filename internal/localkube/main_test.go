package localkube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// timeout bounds every wait of these tests. It is far beyond what a busy machine needs.
const timeout = 2 * time.Minute

// shared is a control plane for the tests that only use one. It is started by the first of them.
var shared struct {
	once sync.Once
	cp   *ControlPlane
	err  error
}

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == keeperArgument {
		os.Exit(runKeeper())
	}
	code := m.Run()
	if shared.cp != nil {
		if err := shared.cp.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// sharedControlPlane has the Gadget CRD and a controller manager.
func sharedControlPlane(t *testing.T) *ControlPlane {
	t.Helper()
	shared.once.Do(func() {
		shared.cp, shared.err = Start(context.Background(), Options{CRDDirs: []string{"testdata/crds"}, Log: os.Stderr})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.cp
}

// eventually waits until check succeeds.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s: not within %s: %v", what, timeout, err)
		case <-ticker.C:
		}
	}
}

// errStill is what a check of eventually returns that has nothing more to say.
var errStill = errors.New("not yet")
