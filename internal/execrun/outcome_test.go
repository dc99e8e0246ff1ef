package execrun

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/wrennhq/wrenn-operator/api/v1alpha1"
	"github.com/wrennhq/wrenn-operator/internal/wrenndev"
)

// Whoever is in the sandbox can say that the command ended with less output than it has been seen to write. So does the
// launcher, where a command leaves something running that goes on writing.
func TestEndThatTellsOfLessThanIsStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	a := w.attempt(Command{Script: `head -c 1000 /dev/zero; until [ -e go ]; do sleep 0.05; done
		cd .wrenn/exec/$WRENN_EXEC_ID; echo exit 3 1 0 500 0 >new; mv new exit; while :; do sleep 0.5; echo more; done`})
	w.runner.Ensure(a, Follow)
	w.await("what it writes first", func(p Progress) bool { return len(p.ConfigMaps) == 1 && p.Stdout.Bytes == 1000 })
	w.upload("go", nil)
	p := w.run(a)
	if p.Exit.Code != 3 || p.Truncated != 0 {
		t.Errorf("exit %+v, %d truncated", p.Exit, p.Truncated)
	}
	got := w.stored(p.ConfigMaps)[stdout]
	if more, ok := bytes.CutPrefix(got, make([]byte, 1000)); !ok || len(bytes.ReplaceAll(more, []byte("more\n"), nil)) > 0 {
		t.Errorf("stored %q", got)
	}
	if p.Stdout.Bytes != int64(len(got)) {
		t.Errorf("%d bytes are stored, %d are told of", len(got), p.Stdout.Bytes)
	}
}

func TestAtLeast(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ n, least, want [2]int64 }{
		{[2]int64{}, [2]int64{}, [2]int64{}},
		{[2]int64{500, 0}, [2]int64{1000, 0}, [2]int64{1000, 0}},
		{[2]int64{500, 700}, [2]int64{1000, 600}, [2]int64{1000, 700}},
		{[2]int64{1500, 700}, [2]int64{1000, 600}, [2]int64{1500, 700}},
	} {
		t.Run(fmt.Sprint(tc.n, tc.least), func(t *testing.T) {
			t.Parallel()
			if got := atLeast(tc.n, tc.least); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// It can also say that there was more. After some looks it is believed that there is not.
func TestEndThatTellsOfMoreThanThereIs(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]int64{"all is stored as it comes": 8 << 20, "the rest is stored at the end": 100_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			content := noise(61, 90_000)
			w.upload("out", content)
			a := w.attempt(Command{Script: `cat out; cd .wrenn/exec/$WRENN_EXEC_ID; echo exit 3 1 0 4611686018427387903 0 >new; mv new exit; sleep 1000`})
			a.LimitBytes = limit
			p := w.run(a)
			if p.Exit.Code != 3 || p.Truncated != 0 || p.Stdout.Bytes != int64(len(content)) {
				t.Errorf("exit %+v, %d truncated, %d bytes", p.Exit, p.Truncated, p.Stdout.Bytes)
			}
			w.wantStored(p, content, nil)
		})
	}
}

// What it says of the end may make no sense at all. That it has ended is believed then, but no more than that.
func TestEndThatMakesNoSense(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"no exit code": "exit 256 1 0 5 0", "nothing": "", "too little": "exit 0", "no word": "done 0 1 0 5 0"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wrenndev.Config{})
			p := w.run(w.attempt(Command{Script: `echo done; cd .wrenn/exec/$WRENN_EXEC_ID; echo "` + end + `" >new; mv new exit; sleep 1000`}))
			if p.Exit.Kind != Unknown || p.Truncated != 0 {
				t.Errorf("exit %+v, %d truncated", p.Exit, p.Truncated)
			}
			w.wantStored(p, []byte("done\n"), nil)
		})
	}
}

// What the guest says of why it cannot run commands is bounded: the status has to hold it.
func TestRefusalOfTheGuestIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wrenndev.Config{})
	lacks := fmt.Errorf("%w: it lacks %s", errGuest, strings.Repeat("x", 1<<20))
	for refusals, want := range map[int]string{0: v1alpha1.ReasonServiceError, maxRefusals: v1alpha1.ReasonStartFailed} {
		a := newAttempt(w.runner, w.attempt(Command{}), Follow)
		a.refusals = refusals
		a.mu.Lock()
		a.note(lacks)
		a.mu.Unlock()
		a.quiet()
		if p := a.snapshot(); p.Reason != want || len(p.Message) > 1024 || !strings.Contains(p.Message, "it lacks xxx") {
			t.Errorf("%s: a message of %d", p.Reason, len(p.Message))
		}
	}
}
