package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

func sandboxes(ctx context.Context, c *wrenn.Client, out io.Writer) (err error) {
	sandbox, err := c.Sandboxes.Create(ctx, wrenn.CreateSandboxRequest{VCPUs: 1, MemoryMB: 512, TimeoutSec: 300})
	if err != nil {
		return err
	}
	box := c.Sandbox(sandbox.ID)
	defer func() { err = errors.Join(err, box.Destroy(context.WithoutCancel(ctx))) }()
	// A fresh sandbox can turn stopped: look again before it is used.
	if sandbox, err = box.WaitReady(ctx); err != nil {
		return err
	}
	fmt.Fprintln(out, sandbox.Status, sandbox.Template)
	if sandbox, err = box.Pause(ctx); err != nil {
		return err
	}
	fmt.Fprintln(out, sandbox.Status)
	if sandbox, err = box.Resume(ctx); err != nil {
		return err
	}
	all, err := c.Sandboxes.List(ctx)
	if err != nil {
		return err
	}
	for _, listed := range all {
		fmt.Fprintln(out, listed.Status, listed.ID == sandbox.ID)
	}
	_, err = c.Sandboxes.Stats(ctx, wrenn.Stats1h)
	return err
}

func execute(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	return c.WithSandbox(ctx, wrenn.CreateSandboxRequest{}, func(ctx context.Context, box *wrenn.SandboxHandle) error {
		result, err := box.Exec(ctx, wrenn.ExecRequest{
			Cmd: "sh", Args: []string{"-c", "echo hello | tr a-z A-Z; exit 3"}, Timeout: 10 * time.Second,
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s%d\n", result.Stdout, result.ExitCode)
		return nil
	})
}

func stream(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	return c.WithSandbox(ctx, wrenn.CreateSandboxRequest{}, func(ctx context.Context, box *wrenn.SandboxHandle) error {
		running, err := box.ExecStream(ctx, wrenn.ExecStreamRequest{
			Cmd: "sh", Args: []string{"-c", "echo one; sleep 0.1; echo two >&2; sleep 0.1; exit 7"},
		})
		if err != nil {
			return err
		}
		for event, err := range running.Events() {
			if err != nil {
				return err // wrenn.ErrStreamLost: the command may still run.
			}
			switch event.Type {
			case wrenn.StreamStdout, wrenn.StreamStderr:
				fmt.Fprintf(out, "%s: %s", event.Type, event.Data)
			case wrenn.StreamExit:
				fmt.Fprintln(out, "exit code", event.ExitCode)
			}
		}
		return nil
	})
}

func files(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	return c.WithSandbox(ctx, wrenn.CreateSandboxRequest{}, func(ctx context.Context, box *wrenn.SandboxHandle) error {
		if err := box.Upload(ctx, "/tmp/small", []byte("hello\n")); err != nil {
			return err
		}
		content, err := box.Download(ctx, "/tmp/small", 1<<20)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s", content)

		// Streams take as little memory for a gigabyte.
		if err := box.StreamUpload(ctx, "/tmp/large", strings.NewReader("hello world")); err != nil {
			return err
		}
		file, err := box.StreamDownload(ctx, "/tmp/large")
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, file)
		fmt.Fprintln(out, n, "bytes")
		return errors.Join(err, file.Close())
	})
}

func background(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	return c.WithSandbox(ctx, wrenn.CreateSandboxRequest{}, func(ctx context.Context, box *wrenn.SandboxHandle) error {
		clock, err := box.ExecBackground(ctx, wrenn.BackgroundRequest{
			Cmd: "sh", Args: []string{"-c", "while echo $WORD; do sleep 0.1; done"}, Env: map[string]string{"WORD": "tick"}, Tag: "clock",
		})
		if err != nil {
			return err
		}
		running, err := box.ProcessStream(ctx, wrenn.ByPID(clock.PID))
		if err != nil {
			return err
		}
		heard := false
		for event, err := range running.Events() {
			switch {
			case err != nil:
				return err
			case event.Type == wrenn.StreamStdout && !heard:
				heard = true
				fmt.Fprint(out, event.Data)
				if err := box.KillProcess(ctx, wrenn.ByTag("clock"), wrenn.SIGKILL); err != nil {
					return err
				}
			case event.Type == wrenn.StreamExit:
				fmt.Fprintln(out, "exit code", event.ExitCode)
			}
		}
		return nil
	})
}

func terminal(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	return c.WithSandbox(ctx, wrenn.CreateSandboxRequest{}, func(ctx context.Context, box *wrenn.SandboxHandle) error {
		pty, err := box.OpenPty(ctx, wrenn.PtyRequest{Cmd: "sh", Cols: 4, Rows: 24})
		if err != nil {
			return err
		}
		if err := pty.Input(ctx, []byte("stty size; exit\n")); err != nil {
			return err
		}
		var screen strings.Builder
		for event, err := range pty.Events() {
			if err != nil {
				return err
			}
			screen.Write(event.Data)
		}
		if strings.Contains(screen.String(), "24 4") {
			fmt.Fprintln(out, "4 columns")
		}
		return nil
	})
}

func snapshots(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	err := c.WithSandbox(ctx, wrenn.CreateSandboxRequest{}, func(ctx context.Context, box *wrenn.SandboxHandle) error {
		if err := box.Upload(ctx, "/srv/note", []byte("kept\n")); err != nil {
			return err
		}
		// The sandbox is paused afterwards.
		_, err := c.Snapshots.Create(ctx, wrenn.CreateSnapshotRequest{SandboxID: box.ID(), Name: "with-a-note"})
		return err
	})
	if err != nil {
		return err
	}
	err = c.WithSandbox(ctx, wrenn.CreateSandboxRequest{Template: "with-a-note"}, func(ctx context.Context, box *wrenn.SandboxHandle) error {
		note, err := box.Download(ctx, "/srv/note", 0)
		fmt.Fprintf(out, "%s", note)
		return err
	})
	return errors.Join(err, c.Snapshots.Delete(ctx, "with-a-note"))
}

func failures(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	_, err := c.Sandboxes.Get(ctx, "cl-0000000000000000000000001")
	switch {
	case wrenn.IsNotFound(err):
		fmt.Fprintln(out, "nobody has this id")
	case wrenn.IsRefusal(err):
		return err // The service itself says no: trying again does not help.
	case wrenn.IsAmbiguous(err):
		return err // It may have happened: look before doing it again.
	case err != nil:
		return err // No answer of the service: it may work later.
	}
	var e *wrenn.Error
	if _, err = c.Sandboxes.Get(ctx, "../teams"); errors.Is(err, wrenn.ErrInvalidArgument) && errors.As(err, &e) {
		fmt.Fprintln(out, "not sent:", e.Err)
	}
	return nil
}
