package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"

	"go.uber.org/goleak"
)

var shared *site

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	// A check of the model takes seconds. The flag, where it is given, is read later and says otherwise.
	err := flag.Set("rapid.checks", "15")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	shared, err = newSite(context.Background(), "../../config/crd/bases", os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	leaks := []goleak.Option{
		// A recorder leaves this behind when it is stopped while it records.
		goleak.IgnoreTopFunction("k8s.io/apimachinery/pkg/watch.(*filteredWatch).loop"),
		// A cache of several namespaces leaves this behind when it is stopped before it has synced.
		goleak.IgnoreTopFunction("sigs.k8s.io/controller-runtime/pkg/cache.newMultiNamespaceInformerHandlerRegistration.func1"),
	}
	if err := errors.Join(shared.close(), goleak.Find(leaks...)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// A part of the sweep: every scenario, some of the points of each, and some seeds. `make crash` is the whole.
func TestSweep(t *testing.T) {
	s := &sweep{site: shared, parallel: 4 * runtime.NumCPU(), out: t.Output(), report: report{counts: map[class]int{}}}
	s.points(t.Context(), scenarios(), none, partOfPoints)
	s.seeds(t.Context(), 1, 20)
	t.Log(&s.report)
	if !s.report.clean() {
		t.Fail()
	}
	if len(s.report.unmet) > s.report.points/4 {
		t.Errorf("not come to: %v", s.report.unmet)
	}
}

// partOfPoints has about one point of each scenario be run.
const partOfPoints = 61
