package execrun

import (
	"context"
	"crypto/sha256"
	_ "embed" // the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenn"
)

var (
	//go:embed guest/launch.sh
	launchScript []byte
	//go:embed guest/control.sh
	controlScript string
	//go:embed guest/cell.py
	cellScript []byte
)

const (
	// shell runs the scripts. The service itself needs it for every command.
	shell = "/bin/sh"
	// guestRoot is under the home directory, which is also where commands start and relative uploads go.
	guestRoot = ".wrenn/exec/"

	prepareTimeout = 20 * time.Second
	// killGrace is how long the processes have between TERM and KILL, and cellGrace how long what runs a cell has, which
	// has the kernel to see to.
	killGrace = 5 * time.Second
	cellGrace = 15 * time.Second
	// stopTimeout stays under the 45 s after which some servers give up on any command.
	stopTimeout = 40 * time.Second
)

// launcherName has the hash of the script in it, so that operators of different versions never replace the launcher that
// a supervisor of the other is still reading.
var launcherName = hashedName("launch-", launchScript, ".sh")

func hashedName(name string, content []byte, extension string) string {
	sum := sha256.Sum256(content)
	return name + hex.EncodeToString(sum[:4]) + extension
}

// errGuest is an answer of the guest that says no: it ran our script, and the script could not do its work.
var errGuest = errors.New("the sandbox cannot run commands")

// errStillThere says that KILL did not end all processes of the command.
var errStillThere = errors.New("processes of the command are still there")

// guest is the guest's side of one attempt.
type guest struct {
	sandbox *wrenn.SandboxHandle
	dir     string
	// launched says that the command may have been started in the directory. If that is gone, it is not made again: the
	// once-guard was in it.
	launched bool
}

// prepared is what was found in the guest.
type prepared struct {
	started  bool // the once-guard was passed
	unpassed bool // it was not
	gone     bool // asked for a started command, and there is none, or the directory of one that may be is gone
	launcher bool // the launcher is there
}

// prepare makes the directory, unless only a command that was started before is of interest.
func (g guest) prepare(ctx context.Context, attachOnly bool) (prepared, error) {
	mode := "launch"
	switch {
	case attachOnly:
		mode = "attach"
	case g.launched:
		mode = "again"
	}
	words, err := g.control(ctx, prepareTimeout, "prepare", g.dir, mode, launcherName)
	if err != nil {
		return prepared{}, err
	}
	var found prepared
	var missing []string
	refused := false
	for _, word := range words {
		tool, isTool := strings.CutPrefix(word, "missing ")
		switch {
		case word == "started":
			found.started = true
		case word == "gone":
			found.gone = true
		case word == "launcher":
			found.launcher = true
		case word == "refused":
			refused = true
		case isTool:
			missing = append(missing, tool)
		}
	}
	found.unpassed = !found.started
	switch {
	case found.started || found.gone:
		return found, nil
	case len(missing) > 0:
		return found, fmt.Errorf("%w: it lacks %s", errGuest, strings.Join(missing, ", "))
	case refused:
		return found, fmt.Errorf("%w: no directory can be made under the home directory", errGuest)
	}
	return found, nil
}

func (g guest) upload(ctx context.Context, name string, content []byte) error {
	return g.sandbox.Upload(ctx, g.dir+"/"+name, content)
}

// follow opens the stream of the launcher. With p set it may start the command.
func (g guest) follow(ctx context.Context, from [2]int64, keep int, p *payload) (*wrenn.ExecStream, error) {
	args := []string{
		g.dir + "/" + launcherName, "attach", g.dir,
		strconv.FormatInt(from[stdout], 10), strconv.FormatInt(from[stderr], 10), strconv.Itoa(keep),
	}
	if p != nil {
		args[1] = "launch"
		for _, file := range p.files {
			args = append(args, file.name, strconv.Itoa(len(file.content)))
		}
	}
	return g.sandbox.ExecStream(ctx, wrenn.ExecStreamRequest{Cmd: shell, Args: args})
}

// stop ends every process of the command. It returns when a look has found none left; otherwise the error says so.
func (g guest) stop(ctx context.Context, grace time.Duration) error {
	words, err := g.control(ctx, stopTimeout, "stop", g.dir, strconv.Itoa(int(grace/time.Second)))
	if err != nil {
		return err
	}
	if len(words) == 0 || words[0] != "ended" {
		return errStillThere
	}
	return nil
}

// clean removes the directory, whatever is in it.
func (g guest) clean(ctx context.Context) error {
	words, err := g.control(ctx, prepareTimeout, "clean", g.dir)
	if err != nil {
		return err
	}
	if len(words) == 0 || words[0] != "cleaned" {
		return fmt.Errorf("%w: its directory cannot be removed", errGuest)
	}
	return nil
}

func (g guest) control(ctx context.Context, timeout time.Duration, args ...string) ([]string, error) {
	res, err := g.sandbox.Exec(ctx, wrenn.ExecRequest{
		Cmd: shell, Args: append([]string{"-c", controlScript, "wrenn-exec"}, args...), Timeout: timeout,
	})
	if err != nil {
		return nil, err
	}
	words := strings.Split(strings.TrimSpace(string(res.Stdout)), "\n")
	if last := len(words) - 1; words[last] == "end" {
		return words[:last], nil
	}
	return nil, fmt.Errorf("%w: its shell ended with code %d", errGuest, res.ExitCode)
}
