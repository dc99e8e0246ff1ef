// Command wrenn-dev serves the embedded Wrenn: the Wrenn API over sandboxes that
// are local processes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// keyVariable names the environment variable for the API key: unlike a flag, it is
// not in the list of processes.
const keyVariable = "WRENN_DEV_API_KEY"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	wrenndev.Config
	keyFile    string
	printKey   bool
	printToken bool
	codeRunner bool
	verbose    bool
}

func parse(args []string, getenv func(string) string, stderr io.Writer) (options, error) {
	var o options
	var key, generation, isolation, network, templates string
	fs := flag.NewFlagSet("wrenn-dev", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.Addr, "addr", "127.0.0.1:8080", "loopback address to listen on; port 0 takes a free one")
	fs.StringVar(&o.DataDir, "data-dir", "", "directory for the state, which then survives a restart (default: a temporary one)")
	fs.StringVar(&generation, "generation", "both", "path families to serve: both, S (/v1/sandboxes) or C (/v1/capsules)")
	fs.StringVar(&isolation, "isolation", "auto", "how sandboxes are kept apart: auto, namespaces or directory (which is no security border)")
	fs.StringVar(&network, "network", "private", "what sandboxes in namespaces reach: private (a loopback of their own) or host (all that the host reaches)")
	fs.StringVar(&templates, "templates", "", "names of platform templates besides minimal, separated by commas")
	fs.StringVar(&key, "api-key", "", "API key, wrn_ and 32 hexadecimal digits (default: $"+keyVariable+", or a generated one)")
	fs.StringVar(&o.keyFile, "api-key-file", "", "file to write the API key to, readable for its owner only")
	fs.BoolVar(&o.printKey, "print-api-key", false, "print the API key on the second line of the output")
	fs.BoolVar(&o.printToken, "print-token", false, "print a token of the platform's administrator, good for six hours, on the line after that")
	fs.StringVar(&o.AdminToken, "admin-token", "", "token for the /_dev routes (default: generated)")
	fs.DurationVar(&o.BootDelay, "boot-delay", 0, "time that every create takes on top")
	fs.DurationVar(&o.Reconcile, "reconcile", time.Second, "how late rows learn of idle pauses and deaths (the service: 30s, or 15s on C)")
	fs.DurationVar(&o.IdleCheck, "idle-check", time.Second, "how often idle sandboxes are looked for (the service: 2s)")
	fs.DurationVar(&o.StreamLimit, "stream-limit", 600*time.Second, "when streams are cut")
	fs.BoolVar(&o.codeRunner, "code-runner", false, "build the template "+wrenndev.CodeRunnerTemplate+" first, from the Jupyter server of this machine")
	fs.BoolVar(&o.verbose, "v", false, "log more")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("wrenn-dev: unexpected argument %q", fs.Arg(0))
	}
	if key == "" {
		key = getenv(keyVariable)
	}
	o.Teams = []wrenndev.Team{{Name: "dev"}}
	if key != "" {
		o.Teams[0].APIKeys = []string{key}
	}
	if templates != "" {
		o.Templates = strings.Split(templates, ",")
	}
	var err error
	if o.Generations, err = wrenndev.ParseGenerations(generation); err != nil {
		return o, fmt.Errorf("wrenn-dev: -generation: %w", err)
	}
	if o.Isolation, err = wrenndev.ParseIsolation(isolation); err != nil {
		return o, fmt.Errorf("wrenn-dev: -isolation: %w", err)
	}
	if o.Network, err = wrenndev.ParseNetwork(network); err != nil {
		return o, fmt.Errorf("wrenn-dev: -network: %w", err)
	}
	return o, nil
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	o, err := parse(args, getenv, stderr)
	if err != nil {
		return err
	}
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelDebug
	}
	o.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	server, err := wrenndev.Start(ctx, o.Config)
	if err != nil {
		return err
	}
	if o.codeRunner {
		if err := server.BuildCodeRunner(ctx); err != nil {
			return errors.Join(err, server.Close())
		}
	}
	if err := announce(server, o, stdout); err != nil {
		return errors.Join(err, server.Close())
	}
	<-ctx.Done()
	return server.Close()
}

// announce tells where the server is, once it serves.
func announce(server *wrenndev.Server, o options, stdout io.Writer) error {
	if o.keyFile != "" {
		if err := writePrivate(o.keyFile, server.APIKey()); err != nil {
			return fmt.Errorf("wrenn-dev: -api-key-file: %w", err)
		}
	}
	border := ""
	if server.Isolation() == wrenndev.Directory {
		border = " (sandboxes are plain directories: NO security border)"
	}
	if _, err := fmt.Fprintf(stdout, "wrenn-dev: serving %s%s\n", server.URL(), border); err != nil {
		return fmt.Errorf("wrenn-dev: %w", err)
	}
	if o.printKey {
		if _, err := fmt.Fprintf(stdout, "WRENN_API_KEY=%s\n", server.APIKey()); err != nil {
			return errors.New("wrenn-dev: cannot print the API key")
		}
	}
	if o.printToken {
		if _, err := fmt.Fprintf(stdout, "WRENN_TOKEN=%s\n", server.Token()); err != nil {
			return errors.New("wrenn-dev: cannot print the token")
		}
	}
	return nil
}

// writePrivate writes a secret to a file that only its owner can read, also when
// the file was there before with other rights.
func writePrivate(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // the user's choice
	if err != nil {
		return err
	}
	if err := f.Chmod(0o600); err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.WriteString(text + "\n")
	return errors.Join(err, f.Close())
}
