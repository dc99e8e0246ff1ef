package wrenndev

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// bootRecipe is what a template adds to each boot of a sandbox that was started
// from it.
type bootRecipe struct {
	// Env and User are those of every command.
	Env  map[string]string `json:"env,omitempty"`
	User string            `json:"user,omitempty"`
	// Programs ran when the template was taken. The service finds them in its memory
	// image, running; here they are started again.
	Programs []program `json:"programs,omitempty"`
}

// program is a command that runs in the background, under the conditions that it
// was started in first.
type program struct {
	Script string   `json:"script"`
	Env    []string `json:"env,omitempty"`
	Dir    string   `json:"dir,omitempty"`
	User   string   `json:"user,omitempty"`
}

// apply puts the template's defaults into the boot of a machine.
func (b bootRecipe) apply(spec *guest.BootSpec) {
	spec.User = b.User
	spec.Env = guest.Overlay(spec.Env, environ(b.Env))
}

// environ lists variables as a process gets them, in the order of their names.
func environ(vars map[string]string) []string {
	list := make([]string, 0, len(vars))
	for name, value := range vars {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// run starts the programs in a guest that has just booted. That they run is all
// there is to know: a client waits for them by their effects.
func (b bootRecipe) run(ctx context.Context, a *agent, g *guest.Guest) error {
	for _, p := range b.Programs {
		if err := p.start(ctx, a, g); err != nil {
			return fmt.Errorf("start %q: %w", p.Script, err)
		}
	}
	return nil
}

// start starts a program. Its output is nobody's, but somebody has to take it.
func (p program) start(ctx context.Context, a *agent, g *guest.Guest) error {
	cmd, err := g.Exec(ctx, guest.ExecSpec{Argv: shell(p.Script), Env: p.Env, Dir: p.Dir, User: p.User})
	if err != nil {
		return err
	}
	a.watchers.Go(func() {
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = io.Copy(io.Discard, cmd.Stdout) })
		wg.Go(func() { _, _ = io.Copy(io.Discard, cmd.Stderr) })
		wg.Wait()
		<-cmd.Done()
		cmd.Close()
	})
	return nil
}

// shellCommand is a script and its arguments, to be launched.
func shellCommand(script string, args ...string) command {
	argv := shell(script, args...)
	return command{cmd: argv[0], args: argv[1:]}
}

// shell is the command line of a script and its arguments.
func shell(script string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", script, "sh"}, args...)
}
