package wrenndev

import (
	"net/http"
	"os"
	"testing"
)

// askKernel starts a kernel through the Jupyter server and has it calculate, as a
// client of the sandbox would through the port proxy.
const askKernel = `
import json, tornado.httpclient, tornado.ioloop, tornado.websocket
async def ask():
    made = await tornado.httpclient.AsyncHTTPClient().fetch("http://127.0.0.1:8888/api/kernels", method="POST", body="{}")
    kernel = json.loads(made.body)["id"]
    sock = await tornado.websocket.websocket_connect("ws://127.0.0.1:8888/api/kernels/" + kernel + "/channels")
    await sock.write_message(json.dumps({
        "channel": "shell", "parent_header": {}, "metadata": {},
        "header": {"msg_id": "1", "msg_type": "execute_request", "session": "s", "username": "", "version": "5.3"},
        "content": {"code": "print(6 * 7)", "silent": False, "allow_stdin": False},
    }))
    while True:
        message = json.loads(await sock.read_message())
        if message["msg_type"] == "stream":
            return message["content"]["text"]
print(tornado.ioloop.IOLoop.current().run_sync(ask, timeout=100), end="")
`

func TestCodeRunnerRunsCode(t *testing.T) {
	if _, err := os.Stat("/usr/bin/jupyter-server"); err != nil {
		t.Skip("no Jupyter server on this machine: Debian has it in jupyter-server, python3-ipykernel and python3-jupyter-client")
	}
	s := start(t, Config{})
	if s.Isolation() != Namespaces {
		t.Skip("sandboxes have no namespaces here")
	}
	for range 2 { // the second one finds it there
		if err := s.BuildCodeRunner(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(s.builds.list(nil)); n != 1 {
		t.Errorf("%d builds", n)
	}
	c := s.client(t, pathS)
	var made sandboxAnswer
	c.want(http.StatusCreated, "", http.MethodPost, pathS, `{"template":"code-runner-beta","memory_mb":1}`).json(t, &made)
	if made.MemoryMB != CodeRunner().MemoryMB {
		t.Errorf("it has %d MiB", made.MemoryMB)
	}
	// It takes a busy machine long to start all that.
	const script = `until python3 -c 'import urllib.request as r; r.urlopen("http://127.0.0.1:8888/api/status")' 2>/dev/null
do sleep 0.1; done; exec python3 -c '` + askKernel + `'`
	var got execAnswer
	c.want(http.StatusOK, "", http.MethodPost, pathS+"/"+made.ID+"/exec",
		execRequest{Cmd: "/bin/sh", Args: []string{"-c", script}, TimeoutSec: 300}).json(t, &got)
	if got.Stdout != "42\n" {
		t.Errorf("the kernel says %q, %s", got.Stdout, got.Stderr)
	}
}

func TestCodeRunnerNeedsABorder(t *testing.T) {
	s := start(t, Config{Isolation: Directory})
	if err := s.BuildCodeRunner(t.Context()); err == nil {
		t.Error("it was built without namespaces")
	}
}
