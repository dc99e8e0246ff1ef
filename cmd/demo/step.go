package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// stepTimeout bounds a step. kubectl's own waits are shorter and say more.
const stepTimeout = 2 * time.Minute

// scene is a part of the demo.
type scene struct {
	title string
	steps []step
}

// step is a line as a user would type it, for a shell in the top directory of the checkout with kubectl on its PATH.
type step struct {
	// say is printed before it: why it is done, or what to look for.
	say string
	// line is printed behind a $, and run.
	line string
	// expect are texts that must be in what it prints.
	expect []string
	// refused tells that the line must fail, because the API server refuses what it asks for.
	refused bool
}

func (s scene) play(ctx context.Context, on *stage) error {
	heading(s.title)
	for _, step := range s.steps {
		if err := step.play(ctx, on); err != nil {
			return err
		}
	}
	return nil
}

func (s step) play(ctx context.Context, on *stage) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	if s.say != "" {
		fmt.Printf("# %s\n", s.say)
	}
	fmt.Printf("$ %s\n", s.line)
	var printed bytes.Buffer
	cmd := on.site.Shell(ctx, s.line)
	cmd.Env = append(cmd.Env, "WRENN_ENDPOINT="+on.site.Wrenn.URL(), "WRENN_KEY_FILE="+on.keyFile)
	cmd.Stdout = io.MultiWriter(os.Stdout, &printed)
	cmd.Stderr = cmd.Stdout
	err := cmd.Run()
	if !strings.HasSuffix(printed.String(), "\n") && printed.Len() > 0 {
		fmt.Println()
	}
	return s.judge(ctx, err, printed.String())
}

// judge tells whether a line did what it should.
func (s step) judge(ctx context.Context, err error, printed string) error {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", s.line, context.Cause(ctx))
	case s.refused && err == nil:
		return fmt.Errorf("%s: was not refused", s.line)
	case s.refused && !errors.As(err, &exit), !s.refused && err != nil:
		return fmt.Errorf("%s: %w", s.line, err)
	}
	for _, text := range s.expect {
		if !strings.Contains(printed, text) {
			return fmt.Errorf("%s: did not print %q", s.line, text)
		}
	}
	return nil
}

func heading(title string) { fmt.Printf("\n=== %s\n", title) }
