// Command manager is the operator: it reconciles the kinds of the wrenn.dev API against Wrenn.
package main

import (
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

func main() {
	opts := parseOptions(os.Args[1:])
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&opts.logging)))
	if err := run(ctrl.SetupSignalHandler(), opts); err != nil {
		ctrl.Log.Error(err, "the manager has ended")
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}
