package entratest

import (
	"io"
	"net/http"
	"time"
)

// waitLatency waits as [Server.SetLatency] says. It returns false if the client goes away or the
// server stops first.
func (s *Server) waitLatency(r *http.Request) bool {
	s.mu.Lock()
	latency := s.latency
	s.mu.Unlock()
	return s.waitDelay(r, nil, latency)
}

// waitConnect waits one round trip and returns the one-way delay of the tunnel. ok is false if the
// client goes away or the server stops first.
func (s *Server) waitConnect(r *http.Request) (oneWay time.Duration, ok bool) {
	s.mu.Lock()
	roundTrip := s.roundTrip
	s.mu.Unlock()
	return roundTrip / 2, s.waitDelay(r, nil, roundTrip)
}

// A delayedReader returns the data of another reader in the same chunks, each of them later.
type delayedReader struct {
	chunks  <-chan chunk
	current chunk
}

type chunk struct {
	deliverAt time.Time
	data      []byte
	err       error
}

// delayReader returns a reader of r's data that delivers each chunk the given delay after r did.
//
// Its goroutine ends when r returns an error, or at the next chunk once stop is closed. The caller
// must close stop and make r return an error, so that the goroutine does not leak.
func delayReader(r io.Reader, delay time.Duration, stop <-chan struct{}) io.Reader {
	if delay == 0 {
		return r
	}
	chunks := make(chan chunk, 64)
	go func() {
		for {
			data := make([]byte, 32<<10)
			n, err := r.Read(data)
			select {
			case chunks <- chunk{time.Now().Add(delay), data[:n], err}:
			case <-stop:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return &delayedReader{chunks: chunks}
}

func (d *delayedReader) Read(b []byte) (int, error) {
	if len(d.current.data) == 0 && d.current.err == nil {
		d.current = <-d.chunks
		time.Sleep(time.Until(d.current.deliverAt))
	}
	n := copy(b, d.current.data)
	d.current.data = d.current.data[n:]
	if len(d.current.data) > 0 {
		return n, nil
	}
	return n, d.current.err
}

// waitDelay waits until release is closed and delay has passed. A nil release or a zero delay is
// not waited for. It returns false if the client goes away or the server stops first.
func (s *Server) waitDelay(r *http.Request, release <-chan struct{}, delay time.Duration) bool {
	var passed <-chan time.Time
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		passed = timer.C
	}
	for release != nil || passed != nil {
		select {
		case <-release:
			release = nil
		case <-passed:
			passed = nil
		case <-r.Context().Done():
			return false
		case <-s.done:
			return false
		}
	}
	return true
}
