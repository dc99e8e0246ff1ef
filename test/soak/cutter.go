package main

import (
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// farthestCut bounds where streams are cut: a few frames come through, or many, or not a whole one.
	farthestCut = 20_000
	// idleFor is how long a connection that nothing is asked on is kept, so that those that are left by the load are gone
	// when sockets are counted.
	idleFor = 2 * time.Second
)

// cutter is where the operator reaches Wrenn. It cuts every other stream, at a random byte of what Wrenn sends on it. All other
// calls are carried on as they are.
type cutter struct {
	server   *httptest.Server
	upstream *http.Transport
	cuts     atomic.Int64

	mu     sync.Mutex
	random *rand.Rand
}

func newCutter(wrenn string, seed uint64) (*cutter, error) {
	target, err := url.Parse(wrenn)
	if err != nil {
		return nil, err
	}
	c := &cutter{
		upstream: &http.Transport{MaxIdleConnsPerHost: 32},
		random:   rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // dice to be thrown again are no secret
	}
	quiet := log.New(io.Discard, "", 0)
	c.server = httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      c.upstream,
		ModifyResponse: c.arm,
		ErrorLog:       quiet,
	})
	c.server.Config.ErrorLog = quiet
	c.server.Config.IdleTimeout = idleFor
	c.server.Start()
	return c, nil
}

func (c *cutter) url() string { return c.server.URL }

func (c *cutter) close() {
	c.server.CloseClientConnections()
	c.server.Close()
	c.upstream.CloseIdleConnections()
}

// arm has a stream end early, where the dice say so.
func (c *cutter) arm(answer *http.Response) error {
	stream, ok := answer.Body.(io.ReadWriteCloser)
	if answer.StatusCode != http.StatusSwitchingProtocols || !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.random.IntN(2) == 0 {
		answer.Body = &cutStream{ReadWriteCloser: stream, left: c.random.IntN(farthestCut), cuts: &c.cuts}
	}
	return nil
}

// cutStream is a stream that ends after so many bytes.
type cutStream struct {
	io.ReadWriteCloser
	left int
	cuts *atomic.Int64
}

// Read reads what is left until the cut. Then the proxy closes both sides.
func (s *cutStream) Read(p []byte) (int, error) {
	if s.left == 0 {
		s.cuts.Add(1)
		return 0, io.ErrUnexpectedEOF
	}
	n, err := s.ReadWriteCloser.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}
