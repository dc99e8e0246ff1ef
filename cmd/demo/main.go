// Command demo shows the operator at work on this machine, with nothing but Go: a real Kubernetes control plane, the
// embedded Wrenn, the real manager as its own ServiceAccount, and the kubectl commands that a user would type. Its last
// line is "demo: ok" when everything was as it should be.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stay := flag.Bool("stay", false, "leave everything running until Ctrl-C, with a kubeconfig to play with")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *stay)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted && (*stay || errors.Is(err, context.Canceled)):
		fmt.Println("demo: interrupted; nothing is left running")
		if !*stay {
			os.Exit(130)
		}
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo: failed:", err)
		os.Exit(1)
	default:
		fmt.Println("demo: ok")
	}
}
