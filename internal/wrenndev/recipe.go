package wrenndev

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The instructions of a recipe.
const (
	doRun     = "RUN"     // [--timeout=5m] and a script: ends before the next instruction begins
	doStart   = "START"   // a script that goes on in the background
	doEnv     = "ENV"     // NAME=value
	doWorkdir = "WORKDIR" // a directory, made where it is missing
	doUser    = "USER"    // a user, made where there is none
	doCopy    = "COPY"    // paths in the archive, and where to put them
)

// instruction is one line of a recipe.
type instruction struct {
	text   string // as it was given
	kind   string
	script string        // of RUN and START
	limit  time.Duration // of RUN, 0 for the default
	name   string        // of ENV and USER
	value  string        // of ENV; the directory of WORKDIR
	copied []string      // of COPY: the sources, and the target last
}

// parseRecipe reads a whole recipe: a bad line fails it before anything is done.
func parseRecipe(lines []string) ([]instruction, error) {
	recipe := make([]instruction, 0, len(lines))
	for n, line := range lines {
		in, err := parseInstruction(line)
		if err != nil {
			return nil, fmt.Errorf("recipe line %d: %w", n+1, err)
		}
		recipe = append(recipe, in)
	}
	return recipe, nil
}

func parseInstruction(line string) (instruction, error) {
	line = strings.TrimSpace(line)
	word, rest, _ := strings.Cut(line, " ")
	in := instruction{text: line, kind: strings.ToUpper(word)}
	rest = strings.TrimSpace(rest)
	if rest == "" && knownInstruction(in.kind) {
		return in, fmt.Errorf("%s needs an argument", in.kind)
	}
	switch in.kind {
	case doRun:
		return in, in.readRun(rest)
	case doStart:
		in.script = rest
	case doEnv:
		var ok bool
		if in.name, in.value, ok = strings.Cut(rest, "="); !ok || in.name == "" {
			return in, errors.New("ENV needs NAME=value")
		}
	case doWorkdir:
		in.value = rest
	case doUser:
		if !userForm.MatchString(rest) {
			return in, fmt.Errorf("%q is no name of a user", rest)
		}
		in.name = rest
	case doCopy:
		return in, in.readCopy(rest)
	case "":
		return in, errors.New("empty instruction")
	default:
		return in, fmt.Errorf("unknown instruction %q", word)
	}
	return in, nil
}

func knownInstruction(kind string) bool {
	switch kind {
	case doRun, doStart, doEnv, doWorkdir, doUser, doCopy:
		return true
	}
	return false
}

var userForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

func (in *instruction) readRun(rest string) error {
	option, ok := strings.CutPrefix(rest, "--timeout=")
	if !ok {
		in.script = rest
		return nil
	}
	value, script, _ := strings.Cut(option, " ")
	if in.script = strings.TrimSpace(script); in.script == "" {
		return errors.New("RUN needs a command")
	}
	return readDuration(&in.limit, 1, "--timeout", value)
}

func (in *instruction) readCopy(rest string) error {
	in.copied = strings.Fields(rest)
	if len(in.copied) < 2 {
		return errors.New("COPY needs a source and a target")
	}
	return nil
}

// healthcheck is a script that is run until it succeeds.
type healthcheck struct {
	script                        string
	interval, timeout, startAfter time.Duration
	retries                       int // 0 is for ever
}

// parseHealthcheck reads [--interval=3s] [--timeout=10s] [--start-period=0s]
// [--retries=0] and a script.
func parseHealthcheck(text string) (healthcheck, error) {
	h := healthcheck{script: strings.TrimSpace(text), interval: 3 * time.Second, timeout: 10 * time.Second}
	for strings.HasPrefix(h.script, "--") {
		option, rest, _ := strings.Cut(h.script, " ")
		h.script = strings.TrimSpace(rest)
		if err := h.set(option); err != nil {
			return h, fmt.Errorf("healthcheck: %w", err)
		}
	}
	if h.script == "" {
		return h, errors.New("healthcheck: no command")
	}
	return h, nil
}

func (h *healthcheck) set(option string) error {
	name, value, _ := strings.Cut(option, "=")
	switch name {
	case "--interval":
		return readDuration(&h.interval, 1, name, value)
	case "--timeout":
		return readDuration(&h.timeout, 1, name, value)
	case "--start-period":
		return readDuration(&h.startAfter, 0, name, value)
	case "--retries":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return fmt.Errorf("%s=%q is no number of retries", name, value)
		}
		h.retries = n
		return nil
	}
	return fmt.Errorf("unknown option %q", name)
}

func readDuration(d *time.Duration, least time.Duration, name, value string) error {
	parsed, err := time.ParseDuration(value)
	if err != nil || parsed < least {
		return fmt.Errorf("%s=%q is no duration", name, value)
	}
	*d = parsed
	return nil
}

// expand puts the values of variables in the place of $NAME and ${NAME}. $$ is one $,
// and a variable that is not set is empty.
func expand(text string, vars map[string]string) string {
	return os.Expand(text, func(name string) string {
		switch {
		case name == "$":
			return "$"
		case !variableForm.MatchString(name):
			return "$" + name
		}
		return vars[name]
	})
}

var variableForm = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
