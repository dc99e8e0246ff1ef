package main

import (
	"flag"
	"os"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/wrennhq/wrenn-operator/internal/connection"
	"github.com/wrennhq/wrenn-operator/internal/controller"
)

// options are what the command line says.
type options struct {
	metricsAddress  string
	metricsInsecure bool
	probeAddress    string
	leaderElect     bool
	lease           leaseTiming
	namespace       string
	grace           time.Duration
	pace            connection.Pace
	sandboxes       controller.SandboxTiming
	snapshots       controller.SnapshotTiming
	secrets         controller.SecretRefresh
	orphans         controller.OrphanTiming
	logging         zap.Options
}

// leaseTiming is how the lease is held: how long it lasts without being renewed, for how long its holder tries to renew it
// before it gives up, and how often each replica tries.
type leaseTiming struct {
	duration, renewDeadline, retryPeriod time.Duration
}

// parseOptions ends the process, with the usage, where the command line is not valid.
func parseOptions(args []string) options {
	o := options{
		pace:      connection.DefaultPace,
		sandboxes: controller.DefaultSandboxTiming,
		snapshots: controller.DefaultSnapshotTiming,
		secrets:   controller.DefaultSecretRefresh,
		orphans:   controller.DefaultOrphanTiming,
	}
	flags := flag.NewFlagSet("manager", flag.ExitOnError)
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "where metrics are served; 0 to serve none")
	flags.BoolVar(&o.metricsInsecure, "metrics-insecure", false,
		"serve metrics over plain HTTP to anyone, instead of over TLS to those whom the API server lets get /metrics")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "where /healthz and /readyz are served; 0 to serve neither")
	flags.BoolVar(&o.leaderElect, "leader-elect", false, "work only while holding a lease, so that several replicas can run")
	flags.DurationVar(&o.lease.duration, "leader-elect-lease-duration", 15*time.Second,
		"how long the lease of a leader that is gone keeps others waiting; whole seconds")
	flags.DurationVar(&o.lease.renewDeadline, "leader-elect-renew-deadline", 10*time.Second,
		"how long a leader that cannot renew its lease goes on; less than the duration of the lease")
	flags.DurationVar(&o.lease.retryPeriod, "leader-elect-retry-period", 2*time.Second,
		"how often a leader renews its lease, and the others look whether it is free")
	flags.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"),
		"the operator's own namespace: where its lease and the Secrets of ClusterConnections are (default $POD_NAMESPACE)")
	flags.DurationVar(&o.grace, "shutdown-grace-period", o.sandboxes.Create+30*time.Second,
		"how long a stop waits for calls to Wrenn that are under way")
	flags.DurationVar(&o.pace.Calm, "poll-interval", o.pace.Calm, "how often the sandboxes of a team are listed when nothing is in transition")
	flags.DurationVar(&o.pace.Hurried, "poll-interval-hurried", o.pace.Hurried, "how often they are listed while something is in transition")
	flags.DurationVar(&o.sandboxes.Create, "create-timeout", o.sandboxes.Create, "how long the creation of a sandbox may take")
	flags.DurationVar(&o.sandboxes.Settle, "settle-time", o.sandboxes.Settle,
		"how long after a call was lost a list is trusted to show what came of it")
	flags.DurationVar(&o.secrets.Found, "secret-refresh-interval", o.secrets.Found, "how often the Secret of a connection is read")
	flags.DurationVar(&o.orphans.Grace, "orphan-grace-period", o.orphans.Grace,
		"how long a remote sandbox must have belonged to no Sandbox before it is reported or destroyed")
	o.logging.BindFlags(flags)
	_ = flags.Parse(args) // ExitOnError
	o.snapshots.Settle = o.sandboxes.Settle
	return o
}
