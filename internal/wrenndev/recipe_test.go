package wrenndev

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseInstruction(t *testing.T) {
	for line, want := range map[string]instruction{
		"RUN echo  a b":           {kind: doRun, script: "echo  a b"},
		" run true ":              {text: "run true", kind: doRun, script: "true"},
		"RUN --timeout=2m sleep ": {text: "RUN --timeout=2m sleep", kind: doRun, script: "sleep", limit: 2 * time.Minute},
		"START serve --port 1 &":  {kind: doStart, script: "serve --port 1 &"},
		"ENV A=b c=d":             {kind: doEnv, name: "A", value: "b c=d"},
		"ENV EMPTY=":              {kind: doEnv, name: "EMPTY"},
		"WORKDIR /a b":            {kind: doWorkdir, value: "/a b"},
		"USER app_1-x":            {kind: doUser, name: "app_1-x"},
		"COPY a  b/ /c":           {kind: doCopy, copied: []string{"a", "b/", "/c"}},
	} {
		if want.text == "" {
			want.text = line
		}
		got, err := parseInstruction(line)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(instruction{})); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", line, err, diff)
		}
	}
}

func TestInstructionsThatAreRefused(t *testing.T) {
	for line, want := range map[string]string{
		"":                     "empty instruction",
		"FROM debian":          `unknown instruction "FROM"`,
		"RUN":                  "RUN needs an argument",
		"START ":               "START needs an argument",
		"RUN --timeout=5s":     "RUN needs a command",
		"RUN --timeout=x true": "is no duration",
		"RUN --timeout=0s x":   "is no duration",
		"ENV A":                "ENV needs NAME=value",
		"ENV =a":               "ENV needs NAME=value",
		"USER 1":               "is no name of a user",
		"USER a;b":             "is no name of a user",
		"COPY a":               "COPY needs a source and a target",
	} {
		if _, err := parseRecipe([]string{"RUN true", line}); err == nil || !strings.Contains(err.Error(), "recipe line 2: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}

func TestParseHealthcheck(t *testing.T) {
	for text, want := range map[string]healthcheck{
		" curl  x ": {script: "curl  x", interval: 3 * time.Second, timeout: 10 * time.Second},
		"--interval=1s --timeout=2s --start-period=3s --retries=4 a --b=c": {
			script: "a --b=c", interval: time.Second, timeout: 2 * time.Second, startAfter: 3 * time.Second, retries: 4,
		},
	} {
		if got, err := parseHealthcheck(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"--retries=1", "--retries=-1 a", "--interval=0s a", "--interval a", "--other=1 a", "  "} {
		if got, err := parseHealthcheck(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestExpand(t *testing.T) {
	vars := map[string]string{"A": "1", "PATH": "/bin"}
	for text, want := range map[string]string{
		"/x:$PATH": "/x:/bin", "${A}2$A": "121", "$NONE.": ".", "$$A": "$A", "$$$A": "$1", "a$": "a$", "$-": "$-", "$?": "$?",
	} {
		if got := expand(text, vars); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
