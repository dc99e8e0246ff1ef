package wrenndev

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// guestProgramVariable makes the test binary a program that runs in a sandbox: what
// a test needs there is then the same on every machine.
const guestProgramVariable = "WRENN_DEV_TEST_GUEST"

func beGuestProgram() bool {
	var err error
	switch os.Getenv(guestProgramVariable) {
	case "web":
		err = serveWeb(os.Args[1])
	case "reach":
		err = reach(os.Args[1])
	default:
		return false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// guestProgram is a shell command that is the test binary, as a sandbox sees it.
func (s *Server) guestProgram(name, arg string) string {
	path := "/proc/1/exe" // the supervisor is the same binary
	if s.Isolation() == Directory {
		path, _ = os.Executable()
	}
	return fmt.Sprintf("%s=%s '%s' '%s'", guestProgramVariable, name, path, arg)
}

// runWeb starts the web server of a sandbox and waits until it answers.
func (c *client) runWeb(id string, port int) {
	c.t.Helper()
	c.sh(id, c.s.guestProgram("web", strconv.Itoa(port))+" > web.log 2>&1 &")
	wait(c.t, "the web server answers", func() bool { return c.proxied(id, port, "/seen", nil).status == http.StatusOK })
}

// seen is what the web server tells of a request.
type seen struct {
	Sandbox, Host, URI string
	Header             http.Header
}

// serveWeb is a web server.
func serveWeb(port string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", echo)
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/absolute", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://"+r.Host+"/there?a=b")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/ticks", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = fmt.Fprintln(w, "tick")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(seen{os.Getenv("WRENN_SANDBOX_ID"), r.Host, r.RequestURI, r.Header})
	})
	server := &http.Server{Addr: net.JoinHostPort("0.0.0.0", port), Handler: handler, ReadHeaderTimeout: time.Minute}
	return server.ListenAndServe()
}

func echo(w http.ResponseWriter, r *http.Request) {
	sock, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = sock.CloseNow() }()
	for {
		kind, text, err := sock.Read(r.Context())
		if err != nil {
			return
		}
		if err := sock.Write(r.Context(), kind, append([]byte(os.Getenv("WRENN_SANDBOX_ID")+" "), text...)); err != nil {
			return
		}
	}
}

// reach connects to an address.
func reach(addr string) error {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	_, _ = io.WriteString(os.Stdout, "reached\n")
	return conn.Close()
}
