package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

func ports(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	return c.WithSandbox(ctx, wrenn.CreateSandboxRequest{}, func(ctx context.Context, box *wrenn.SandboxHandle) error {
		if err := box.Upload(ctx, "/srv/index.html", []byte("hello\n")); err != nil {
			return err
		}
		server, err := box.ExecStream(ctx, wrenn.ExecStreamRequest{
			Cmd: "python3", Args: []string{"-m", "http.server", "--directory", "/srv", "8000"},
		})
		if err != nil {
			return err
		}
		if err := server.Close(); err != nil { // It goes on without us.
			return err
		}
		web, err := box.HTTPClient(ctx, 8000)
		if err != nil {
			return err
		}
		for {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "/index.html", nil)
			if err != nil {
				return err
			}
			page, err := web.Do(request)
			if err != nil {
				return err
			}
			text, err := io.ReadAll(page.Body)
			_ = page.Body.Close()
			if page.StatusCode == http.StatusOK {
				fmt.Fprintf(out, "%s", text)
				return err
			}
			select { // 502 until it listens.
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}

func code(ctx context.Context, c *wrenn.Client, out io.Writer) error {
	return c.WithSandbox(ctx, wrenn.CreateSandboxRequest{Template: "code-runner-beta"}, func(ctx context.Context, box *wrenn.SandboxHandle) error {
		if _, err := box.RunCode(ctx, "numbers = [1, 2, 3]"); err != nil {
			return err
		}
		result, err := box.RunCode(ctx, "print('adding'); sum(numbers)", wrenn.WithCodeTimeout(time.Minute))
		if err != nil {
			return err // wrenn.ErrTimeout: the cell was interrupted.
		}
		fmt.Fprintf(out, "%s%s\n", result.Stdout, result.Text)
		result, err = box.RunCode(ctx, "numbers[7]")
		if err != nil {
			return err
		}
		fmt.Fprintln(out, result.Error.Name) // An exception is a result, and no failure of the call.
		return nil
	})
}
