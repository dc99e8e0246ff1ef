// Command prebuild builds the programs of the local control plane, unless they are there, and prints where they
// are. It exists so that the first build, which takes minutes, can be seen: go test shows nothing until a package
// is finished.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/wrennhq/wrenn-operator/internal/localkube"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	assets, err := localkube.EnsureAssets(ctx, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("etcd: %s\nkube-apiserver: %s\nkube-controller-manager: %s\nkubectl: %s\n",
		assets.Etcd, assets.APIServer, assets.ControllerManager, assets.Kubectl)
}
