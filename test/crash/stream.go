package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Two mishaps befall a stream after so many bytes of it.
const (
	// cutAt: the connection ends there.
	cutAt = "cut-"
	// killedAt: the operator ends there, and with it the connection.
	killedAt = "killed-"
)

// at is the mishap that befalls a stream after so many bytes.
func at(what string, bytes int) mishap { return mishap(what + strconv.Itoa(bytes)) }

// place is after how many bytes of a stream a mishap befalls it; false for one that befalls effects as a whole.
func (m mishap) place() (bytes int, kills, ok bool) {
	number, cuts := strings.CutPrefix(string(m), cutAt)
	if !cuts {
		number, kills = strings.CutPrefix(string(m), killedAt)
	}
	bytes, err := strconv.Atoi(number)
	return bytes, kills, err == nil && (cuts || kills)
}

// streamMishaps are those that befall a stream somewhere in it, of which so many bytes came in the undisturbed run: at its
// borders, and at places that are drawn, the same for an effect each time. An effect that brought nothing is no stream.
func streamMishaps(scenario, effect string, carried int) []mishap {
	if carried == 0 {
		return nil
	}
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, scenario, effect)   // never fails
	d := rand.New(rand.NewPCG(h.Sum64(), 0)) //nolint:gosec // to be repeated
	return []mishap{
		at(cutAt, 1), at(cutAt, carried-1), at(cutAt, d.IntN(carried)), at(cutAt, d.IntN(carried)),
		at(killedAt, d.IntN(carried)), at(killedAt, d.IntN(carried)),
	}
}

// stream carries a WebSocket.
func (w *world) stream(rw http.ResponseWriter, r *http.Request, o *operator, effect string, m mishap) {
	if slices.Contains([]mishap{failsAfter, answerLost, killed, behind}, m) {
		// What a stream begins goes on without it.
		ctx, cut := context.WithCancel(r.Context())
		defer cut()
		timer := time.AfterFunc(streamFor, func() {
			if m == killed || m == behind {
				o.die(m)
			}
			cut()
		})
		defer timer.Stop()
		r = r.WithContext(ctx)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(o.life, cancel)() //nolint:contextcheck // it ends with the operator, too
	target, err := url.Parse(w.wrenn.URL())
	if err != nil {
		fail(rw)
		return
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) },
		Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := w.upstream.RoundTrip(req)
			if err != nil {
				return nil, err
			}
			if connection, ok := resp.Body.(io.ReadWriteCloser); ok {
				resp.Body = &countedStream{ReadWriteCloser: connection, wire: w.wire, effect: effect, operator: o, mishap: m}
			}
			return resp, nil
		}),
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	proxy.ServeHTTP(rw, r.WithContext(ctx))
}

var errCut = errors.New("the stream is cut here")

// countedStream is a connection to Wrenn whose bytes are counted as they come, up to where something befalls it.
type countedStream struct {
	io.ReadWriteCloser

	wire     *wire
	effect   string
	operator *operator
	mishap   mishap
	carried  int
}

// Read reads what Wrenn sends.
func (s *countedStream) Read(p []byte) (int, error) {
	place, kills, limited := s.mishap.place()
	if limited {
		if s.carried == place {
			if kills {
				s.operator.die(killed)
			}
			return 0, errCut
		}
		p = p[:min(len(p), place-s.carried)]
	}
	n, err := s.ReadWriteCloser.Read(p)
	s.carried += n
	s.wire.carries(s.effect, s.carried)
	return n, err
}
