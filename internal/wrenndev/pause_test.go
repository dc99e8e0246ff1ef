package wrenndev

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wrennhq/wrenn-operator/internal/wrenndev/guest"
)

// isolations are those that are to be tried on this machine.
func isolations(t *testing.T) []Isolation {
	t.Helper()
	s, err := Start(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if s.Isolation() == Directory {
		return []Isolation{Directory}
	}
	return []Isolation{Namespaces, Directory}
}

// states are the processes of a sandbox by their state letter.
func (s *Server) states(t *testing.T, id string) map[string]int {
	t.Helper()
	m, err := s.agent.machine(id)
	if err != nil {
		t.Fatal(err)
	}
	procs, err := m.currentGuest().Processes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]int{}
	for _, p := range procs {
		states[p.State]++
	}
	return states
}

func TestPauseStopsEveryProcessAndResumeContinuesThem(t *testing.T) {
	for _, isolation := range isolations(t) {
		t.Run(isolation.String(), func(t *testing.T) {
			s := start(t, Config{Isolation: isolation})
			c := s.client(t, pathS)
			paused, clock := c.create(), c.create()
			for _, id := range []string{paused, clock} {
				// Three at once, one of them in a session of its own.
				c.sh(id, counter+"\n"+counter+"\nsetsid sh -c '"+counter+"'")
			}
			count := func(id string) int64 { return s.counted(id) }
			wait(t, "both count", func() bool { return count(paused) > 10 && count(clock) > 10 })

			c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+paused+"/pause", nil)
			at, tick := count(paused), count(clock)
			for state, n := range s.states(t, paused) {
				if state != "T" && state != "D" { // D: waits in vfork for a stopped child
					t.Errorf("%d processes in state %s", n, state)
				}
			}
			wait(t, "time passes", func() bool { return count(clock) > tick+60 })
			if now := count(paused); now != at {
				t.Errorf("the paused sandbox went on from %d to %d", at, now)
			}

			c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+paused+"/resume", nil)
			wait(t, "the resumed sandbox goes on", func() bool { return count(paused) > at+60 })
		})
	}
}

func TestPauseOfASandboxThatForksAllTheTime(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	id := c.create()
	c.sh(id, `for i in 1 2 3 4; do ( while :; do /bin/true; done ) > /dev/null 2>&1 & done`)
	for range 5 {
		c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+id+"/pause", nil)
		for state, n := range s.states(t, id) {
			if state != "T" && state != "D" { // D: waits in vfork for a stopped child
				t.Errorf("%d processes in state %s", n, state)
			}
		}
		c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+id+"/resume", nil)
	}
}

func TestWhatWasStoppedBeforeThePauseStaysStopped(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathS)
	id := c.create()
	c.sh(id, `sleep 1000 > /dev/null 2>&1 &
		while [ "$(cat /proc/$!/comm)" != sleep ]; do sleep 0.01; done
		kill -STOP $!`)
	wait(t, "it is stopped", func() bool { return s.states(t, id)["T"] == 1 })
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+id+"/pause", nil)
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+id+"/resume", nil)
	c.sh(id, `true`) // whatever the resume continued has run by now
	if got := s.states(t, id); got["T"] != 1 {
		t.Errorf("states: %v", got)
	}
}

func TestDestroyLeavesNoProcess(t *testing.T) {
	for _, isolation := range isolations(t) {
		t.Run(isolation.String(), func(t *testing.T) {
			s := start(t, Config{Isolation: isolation})
			c := s.client(t, pathS)
			for _, pause := range []bool{false, true} {
				id := c.create()
				c.sh(id, counter+` setsid sh -c 'trap "" TERM HUP; while :; do sleep 1; done' > /dev/null 2>&1 &`)
				wait(t, "all run", func() bool { return len(s.states(t, id)) > 0 })
				if pause {
					c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+id+"/pause", nil)
				}
				if n := s.LiveProcesses(); n < 3 {
					t.Errorf("%d live processes before", n)
				}
				c.want(http.StatusNoContent, "", http.MethodDelete, pathS+"/"+id, nil)
				if n := s.LiveProcesses(); n != 0 {
					t.Errorf("%d processes are left", n)
				}
				if _, err := os.Stat(filepath.Join(s.DataDir(), "sandboxes", id)); !os.IsNotExist(err) {
					t.Errorf("files are left: %v", err)
				}
			}
		})
	}
}

func TestDeadSupervisorLeavesNoProcess(t *testing.T) {
	for _, isolation := range isolations(t) {
		t.Run(isolation.String(), func(t *testing.T) {
			s := start(t, Config{Isolation: isolation, Reconcile: time.Hour})
			c := s.client(t, pathS)
			id := c.create()
			c.sh(id, counter)
			m, err := s.agent.machine(id)
			if err != nil {
				t.Fatal(err)
			}
			killHard(t, m.currentGuest())
			<-m.currentGuest().Gone()
			if n := s.LiveProcesses(); n != 0 {
				t.Errorf("%d processes are left", n)
			}
			c.want(http.StatusBadGateway, "agent_error", http.MethodPost, pathS+"/"+id+"/exec", `{"cmd":"true"}`)
		})
	}
}

func killHard(t *testing.T, g *guest.Guest) {
	t.Helper()
	p, err := os.FindProcess(g.Pid())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestARootOfItsOwn(t *testing.T) {
	if isolations(t)[0] != Namespaces {
		t.Skip("namespaces do not work on this machine")
	}
	s := start(t, Config{})
	c := s.client(t, pathS)
	a, b := c.create(), c.create()
	for _, tt := range []struct{ name, script, want string }{
		{"system directories are writable", `echo x > /usr/local/wrenn-test && cat /usr/local/wrenn-test`, "x\n"},
		{"home and /tmp are empty", `ls -A /root /home /tmp | grep -v :`, "\n\n"},
		{"the data directory is hidden", `ls -d ` + s.DataDir() + ` 2>/dev/null; true`, ""},
		{"secrets are hidden", `cat /etc/shadow /etc/gshadow 2>/dev/null; true`, ""},
		{"process 1 is the supervisor", `tr '\0' ' ' < /proc/1/cmdline`, guest.Arg0 + " "},
		{"no process of the host", `[ "$(ls -d /proc/[0-9]* | wc -l)" -le 5 ] && echo few`, "few\n"},
		{"the host name is the id", `hostname`, a + "\n"},
		{"devices", `head -c 3 /dev/zero | wc -c; echo x > /dev/null; head -c 1 /dev/urandom | wc -c`, "3\n1\n"},
		{"root has no power over the host", `mknod /tmp/disk b 8 0 2>/dev/null && head -c 1 /tmp/disk 2>/dev/null; date -s @0 > /dev/null 2>&1 && echo set; true`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if os.Geteuid() != 0 && strings.HasPrefix(tt.script, "echo x > /usr") {
				t.Skip("the host root's directories are not to be written without root")
			}
			if got := s.client(t, pathS).sh(a, tt.script); got.Stdout != tt.want {
				t.Errorf("got %q %q, want %q", got.Stdout, got.Stderr, tt.want)
			}
		})
	}
	if got := c.sh(b, `cat /usr/local/wrenn-test`); got.ExitCode == 0 {
		t.Error("another sandbox sees what was written")
	}
	if _, err := os.Stat("/usr/local/wrenn-test"); !os.IsNotExist(err) {
		t.Error("the host sees what was written")
	}
}
