package entratest

import (
	"io"
	"net/http"
	"time"
)

// waitLatency is false when the client went away, or the server, before the answer was due.
func (s *Server) waitLatency(r *http.Request) bool {
	s.mu.Lock()
	latency := s.latency
	s.mu.Unlock()
	return s.waitDelay(r, nil, latency)
}

// waitConnect waits as long as it takes to reach a host, and says how long a way there is. It is
// not ok when nobody waits any more.
func (s *Server) waitConnect(r *http.Request) (way time.Duration, ok bool) {
	s.mu.Lock()
	distance := s.roundTrip
	s.mu.Unlock()
	return distance / 2, s.waitDelay(r, nil, distance)
}

// delayedReader gives what another reader gives, in order and in the same rhythm, but later.
type delayedReader struct {
	chunks  <-chan chunk
	current chunk
}

type chunk struct {
	deliverAt time.Time
	data      []byte
	err       error
}

// delayReader reads until r ends or until stop is closed; whoever closes that ends r too.
func delayReader(r io.Reader, later time.Duration, stop <-chan struct{}) io.Reader {
	if later == 0 {
		return r
	}
	parcels := make(chan chunk, 64)
	arrive := func() (p chunk) {
		data := make([]byte, 32<<10)
		n, err := r.Read(data)
		return chunk{time.Now().Add(later), data[:n], err}
	}
	go func() {
		for {
			p := arrive()
			select {
			case parcels <- p:
			case <-stop:
				return
			}
			if p.err != nil {
				return
			}
		}
	}()
	return &delayedReader{chunks: parcels}
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

// waitDelay is false when the client went away, or the server, before the request may go on.
func (s *Server) waitDelay(r *http.Request, held <-chan struct{}, delay time.Duration) bool {
	var later <-chan time.Time
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		later = timer.C
	}
	for held != nil || later != nil {
		select {
		case <-held:
			held = nil
		case <-later:
			later = nil
		case <-r.Context().Done():
			return false
		case <-s.done:
			return false
		}
	}
	return true
}
