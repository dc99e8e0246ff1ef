package wrenndev

import (
	"net/http"
	"os"
	"strconv"
	"testing"
)

// descriptors counts the open ones of a process of this host.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	names, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		t.Skipf("this system does not tell: %v", err)
	}
	return len(names)
}

func TestNoDescriptorIsLeft(t *testing.T) {
	s := start(t, Config{})
	c := s.client(t, pathC)
	id := c.create()
	c.runWeb(id, 8888)
	supervisor := s.agent.supervisors()[0]
	round := func() {
		c.sh(id, "true")
		c.background(id, "p", "while ! [ -e go ]; do echo tick; sleep 0.01; done")
		for range 2 {
			sock := c.socket("/" + id + "/processes/p/stream")
			_, _ = next(t.Context(), t, sock)
			_ = sock.CloseNow()
		}
		tm := c.shellTerminal(id, "echo ready; cat")
		tm.expect("ready")
		_ = tm.sock.CloseNow() // the shell stays
		for _, cmd := range []string{"true", "nothing of this name"} {
			ended := c.terminal(id, map[string]any{"cmd": cmd})
			ended.exit()
			_ = ended.sock.CloseNow()
		}
		c.connect(id, "pty-00000000").silent()
		read(t, c.socket("/"+id+"/pty", map[string]any{"type": "start", "cwd": "/none"}))
		read(t, c.stream(id, "echo x"))
		c.seen(id, "/x", nil)
		c.proxied(id, 81, "/x", nil).refused(t, http.StatusBadGateway, "proxy error: ")
		c.do(http.MethodPost, pathC+"/"+id+"/files/list", `{"path":"/","depth":2}`)
		c.do(http.MethodPost, pathC+"/"+id+"/files/read", `{"path":"web.log"}`)
		for _, p := range c.processes(id) {
			c.do(http.MethodDelete, pathC+"/"+id+"/processes/"+strconv.Itoa(p.Pid), nil)
		}
		wait(t, "the processes ended", func() bool { return len(c.processes(id)) == 0 })
	}
	round() // what is opened once is not lost
	here, there := descriptors(t, os.Getpid()), descriptors(t, supervisor)
	for range 5 {
		round()
	}
	// A connection for the next request or two may wait on either side of the proxy.
	const spare = 4
	wait(t, "the server's descriptors are back", func() bool { return descriptors(t, os.Getpid()) <= here+spare })
	wait(t, "the supervisor's descriptors are back", func() bool { return descriptors(t, supervisor) <= there })
}
