package wrenndev

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// terminal is a terminal on a stream.
type terminal struct {
	*client
	sock  *websocket.Conn
	shown string // its output so far
	begun event  // the started event
}

// terminal starts a program in one.
func (c *client) terminal(id string, start map[string]any) *terminal {
	c.t.Helper()
	start["type"] = "start"
	tm := &terminal{client: c, sock: c.socket("/"+id+"/pty", start)}
	ev, err := next(c.t.Context(), c.t, tm.sock)
	if err != nil || ev.Type != "started" || ev.Pid <= 0 || !regexp.MustCompile(`^pty-[0-9a-f]{8}$`).MatchString(ev.Tag) {
		c.t.Fatalf("%+v %v", ev, err)
	}
	tm.begun = ev
	return tm
}

func (c *client) shellTerminal(id, script string) *terminal {
	return c.terminal(id, map[string]any{"cmd": "/bin/sh", "args": []string{"-c", script}})
}

// connect goes to a terminal that is there.
func (c *client) connect(id, tag string) *terminal {
	c.t.Helper()
	return &terminal{client: c, sock: c.socket("/"+id+"/pty", map[string]any{"type": "connect", "tag": tag})}
}

func (tm *terminal) input(text string) {
	tm.t.Helper()
	tm.send1(tm.sock, map[string]any{"type": "input", "data": base64.StdEncoding.EncodeToString([]byte(text))})
}

// next reads one event and keeps output.
func (tm *terminal) next() (event, error) {
	tm.t.Helper()
	ev, err := next(tm.t.Context(), tm.t, tm.sock)
	if err == nil && ev.Type == "output" {
		data, err := base64.StdEncoding.DecodeString(ev.Data)
		if err != nil {
			tm.t.Fatal(err)
		}
		tm.shown += string(data)
	}
	return ev, err
}

// expect reads until the output has the text.
func (tm *terminal) expect(text string) {
	tm.t.Helper()
	for !strings.Contains(tm.shown, text) {
		if ev, err := tm.next(); err != nil || ev.Type != "output" {
			tm.t.Fatalf("%+v %v instead of %q after %q", ev, err, text, tm.shown)
		}
	}
}

// exit reads until the exit event.
func (tm *terminal) exit() int {
	tm.t.Helper()
	for {
		ev, err := tm.next()
		switch {
		case err != nil:
			tm.t.Fatalf("%v after %q", err, tm.shown)
		case ev.Type == "exit":
			return *ev.ExitCode
		}
	}
}

// silent checks that the server ends the stream without a word.
func (tm *terminal) silent() {
	tm.t.Helper()
	got := read(tm.t, tm.sock)
	got.abrupt(tm.t)
	if len(got.types) > 0 {
		tm.t.Errorf("events %v %q", got.types, got.failure)
	}
}

func TestPtyIsATerminal(t *testing.T) {
	for _, isolation := range isolations(t) {
		t.Run(isolation.String(), func(t *testing.T) {
			c := start(t, Config{Isolation: isolation}).client(t, pathC)
			id := c.create()
			sh := c.terminal(id, map[string]any{"cmd": "/bin/sh", "user": "nobody", "envs": map[string]string{"PS1": "prompt>", "WORD": "a b"}, "cwd": "/usr"})
			sh.expect("prompt>")
			sh.input("stty size; id -u; pwd; echo [$WORD]; tty\n")
			sh.expect("24 80\r\n")
			sh.expect("\r\n" + strings.TrimSpace(c.sh(id, "id -u").Stdout) + "\r\n/usr\r\n[a b]\r\n/dev/pts/")
			sh.send1(sh.sock, map[string]any{"type": "resize", "cols": 100, "rows": 30})
			sh.input("stty size\n")
			sh.expect("30 100\r\n")
			sh.input("printf '\\303'; sleep 0.2; printf '\\251\\377|\\n'\n")
			sh.expect("\xc3\xa9\xff|")
			// Ctrl-C reaches what runs in the foreground only, which is there once it speaks.
			sh.input("sh -c 'echo go\"\"ne; exec sleep 1000'\n")
			sh.expect("gone\r\n")
			sh.input("\x03")
			sh.input("echo back''again\n")
			sh.expect("backagain")
			sh.input("exit 5\n")
			if code := sh.exit(); code != 5 {
				t.Errorf("exit code %d", code)
			}
			// After its exit the server leaves the connection open.
			sh.send1(sh.sock, map[string]any{"type": "resize", "cols": 1, "rows": 1})
			go func() { _, _ = sh.next() }()
			if err := sh.sock.Ping(t.Context()); err != nil {
				t.Errorf("the connection is not open: %v", err)
			}
		})
	}
}

func TestPtyStarts(t *testing.T) {
	s := start(t, Config{PtyPing: 20 * time.Millisecond})
	c := s.client(t, pathC)
	id := c.create()
	t.Run("sizes", func(t *testing.T) {
		for want, size := range map[string][2]int{"7 5\r\n": {5, 7}, "24 80\r\n": {0, -1}, "65535 65535\r\n": {65535, 1 << 20}} {
			tm := c.terminal(id, map[string]any{"cmd": "stty", "args": []string{"size"}, "cols": size[0], "rows": size[1]})
			if tm.exit(); tm.shown != want {
				t.Errorf("%v: %q", size, tm.shown)
			}
		}
	})
	t.Run("bash by default", func(t *testing.T) {
		if c.sh(id, "test -x /bin/bash").ExitCode != 0 {
			t.Skip("this machine has no bash")
		}
		tm := c.terminal(id, map[string]any{})
		tm.input("echo $BASH\n")
		for !strings.Contains(tm.shown, "/bin/bash\r\n") {
			if _, err := tm.next(); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("a missing command", func(t *testing.T) {
		tm := c.terminal(id, map[string]any{"cmd": "nothing of this name"})
		if code := tm.exit(); code != 127 || !strings.Contains(tm.shown, "nothing of this name") {
			t.Errorf("%d %q", code, tm.shown)
		}
	})
	t.Run("a missing directory", func(*testing.T) {
		tm := &terminal{client: c, sock: c.socket("/"+id+"/pty", map[string]any{"type": "start", "cmd": "true", "cwd": "/none"})}
		tm.silent()
	})
	t.Run("a wrong first message", func(t *testing.T) {
		for _, first := range []any{"text", map[string]any{"type": "input", "data": ""}, map[string]any{"type": "start", "cols": "x"}} {
			got := read(t, c.socket("/"+id+"/pty", first))
			got.abrupt(t)
			if len(got.types) != 1 || got.types[0] != "error" {
				t.Errorf("%v", got.types)
			}
		}
	})
	t.Run("pings", func(t *testing.T) {
		tm := c.shellTerminal(id, "sleep 1000")
		for range 3 {
			if ev, err := tm.next(); err != nil || ev.Type != "ping" {
				t.Fatalf("%+v %v", ev, err)
			}
		}
	})
}

func TestPtyEnds(t *testing.T) {
	c := start(t, Config{}).client(t, pathC)
	t.Run("kill", func(t *testing.T) {
		tm := c.shellTerminal(c.create(), "trap '' TERM HUP INT; echo ready; exec sleep 1000")
		tm.expect("ready")
		tm.send1(tm.sock, map[string]any{"type": "kill"})
		if code := tm.exit(); code != -1 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("pause", func(*testing.T) {
		id := c.create()
		tm := c.shellTerminal(id, "sleep 1000")
		c.want(http.StatusOK, "", http.MethodPost, pathC+"/"+id+"/pause", nil)
		tm.silent()
	})
	t.Run("limit", func(t *testing.T) {
		c := start(t, Config{StreamLimit: 500 * time.Millisecond}).client(t, pathC)
		id := c.create()
		tm := c.shellTerminal(id, "while ! [ -e go ]; do sleep 0.01; done; touch finished")
		if ev, err := tm.next(); err != nil || ev.Type != "error" || !ev.Fatal {
			t.Errorf("%+v %v", ev, err)
		}
		tm.silent()
		c.sh(id, "touch go")
		wait(t, "the program finished", func() bool { return c.sh(id, "test -e finished").ExitCode == 0 })
	})
}

func TestPtyConnect(t *testing.T) {
	c := start(t, Config{}).client(t, pathC)
	id := c.create()
	t.Run("to one that talks", func(t *testing.T) {
		first := c.shellTerminal(id, `echo early; while :; do echo tick; sleep 0.01; done`)
		first.expect("early")
		_ = first.sock.CloseNow() // the shell goes on
		again := c.connect(id, first.begun.Tag)
		again.expect("tick") // and there was no started
		if strings.Contains(again.shown, "early") {
			t.Error("early output is repeated")
		}
		second := c.connect(id, first.begun.Tag)
		second.expect("tick")
		again.input("hello\n") // which the terminal echoes
		again.expect("hello\r\n")
		second.expect("hello\r\n")
		again.send1(again.sock, map[string]any{"type": "kill"})
		if code := again.exit(); code != -1 {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("to one that is silent", func(t *testing.T) {
		c := start(t, Config{ExecLimit: 500 * time.Millisecond}).client(t, pathC)
		id := c.create()
		first := c.shellTerminal(id, `stty -echo; echo ready; read -r line; echo "got $line"`)
		first.expect("ready")
		idle := c.connect(id, first.begun.Tag)
		idle.input("lost in the hang\n")
		ev, err := idle.next()
		if err != nil || ev.Type != "error" || ev.Fatal || !strings.Contains(ev.Data, "timeout awaiting response headers") {
			t.Errorf("%+v %v", ev, err)
		}
		idle.silent()
		first.input("typed\n")
		first.expect("got typed\r\n")
	})
	t.Run("input waits for output", func(*testing.T) {
		first := c.shellTerminal(id, `stty -echo; echo ready; while ! [ -e print ]; do sleep 0.01; done; echo printed; read -r line; echo "got $line"`)
		first.expect("ready")
		late := c.connect(id, first.begun.Tag)
		late.input("patience\n")
		c.sh(id, "touch print")
		late.expect("got patience\r\n")
	})
	t.Run("to one that is not there", func(*testing.T) {
		c.connect(id, "pty-00000000").silent()
		c.connect(id, "").silent()
		ended := c.shellTerminal(id, "true")
		ended.exit()
		c.connect(id, ended.begun.Tag).silent()
	})
}

// TestPtyInputIsDroppedBeyondTheQueue types more than the terminal takes.
func TestPtyInputIsDroppedBeyondTheQueue(t *testing.T) {
	c := start(t, Config{}).client(t, pathC)
	id := c.create()
	tm := c.shellTerminal(id, `tty > name; stty raw -echo; echo ready; while ! [ -e go ]; do sleep 0.01; done; sed -u /END/q > got`)
	tm.expect("ready")
	const sent = 3 * inputQueue
	line := strings.Repeat("x", 4000) + "\n"
	for range sent {
		tm.input(line)
	}
	// Messages are dealt with in order: once this one was, the others were.
	tm.send1(tm.sock, map[string]any{"type": "resize", "cols": 11, "rows": 12})
	wait(t, "all input was read", func() bool { return c.sh(id, "stty size < $(cat name)").Stdout == "12 11\n" })
	c.sh(id, "touch go")
	gone := make(chan int, 1)
	go func() { gone <- tm.exit() }()
	wait(t, "the end is read", func() bool {
		tm.input("END\n") // which is dropped too while the queue is full
		return len(gone) > 0
	})
	kept := strings.Count(c.sh(id, "cat got").Stdout, line)
	if kept < inputQueue || kept >= sent {
		t.Errorf("%d of %d came through", kept, sent)
	}
}

func TestNothingOfATerminalIsLeft(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathC)
	id := c.create()
	tm := c.shellTerminal(id, "setsid sleep 1000 & echo ready; wait")
	tm.expect("ready")
	c.want(http.StatusNoContent, "", http.MethodDelete, pathC+"/"+id, nil)
	tm.silent()
	wait(t, "no process is left", func() bool { return s.LiveProcesses() == 0 })
}
