package entratest

import (
	"io"
	"net/http"
	"time"
)

// SetLatency makes every answer behind the host names wait that long, documents too, of which [Server.SetDelay] knows nothing. Nothing else is done
// with a request before.
func (s *Server) SetLatency(d time.Duration) { s.set(func(k *knobs) { k.latency = d }) }

// SetDistance sets how long a round trip takes through tunnels of the CONNECT proxy that are made from now on. Its own answer takes one too: it stands
// for the connection that a client without a proxy would have to make.
func (s *Server) SetDistance(roundTrip time.Duration) {
	s.set(func(k *knobs) { k.distance = roundTrip })
}

// late is false when the client went away, or the server, before the answer was due.
func (s *Server) late(r *http.Request) bool {
	s.mu.Lock()
	latency := s.latency
	s.mu.Unlock()
	return s.wait(r, nil, latency)
}

// reach waits as long as it takes to reach a host, and says how long a way there is. It is not ok when nobody waits any more.
func (s *Server) reach(r *http.Request) (way time.Duration, ok bool) {
	s.mu.Lock()
	distance := s.distance
	s.mu.Unlock()
	return distance / 2, s.wait(r, nil, distance)
}

// distant gives what another reader gives, in order and in the same rhythm, but later.
type distant struct {
	parcels <-chan parcel
	current parcel
}

type parcel struct {
	due  time.Time
	data []byte
	err  error
}

// afar reads until r ends or until stop is closed; whoever closes that ends r too.
func afar(r io.Reader, later time.Duration, stop <-chan struct{}) io.Reader {
	if later == 0 {
		return r
	}
	parcels := make(chan parcel, 64)
	arrive := func() (p parcel) {
		data := make([]byte, 32<<10)
		n, err := r.Read(data)
		return parcel{time.Now().Add(later), data[:n], err}
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
	return &distant{parcels: parcels}
}

func (d *distant) Read(b []byte) (int, error) {
	if len(d.current.data) == 0 && d.current.err == nil {
		d.current = <-d.parcels
		time.Sleep(time.Until(d.current.due))
	}
	n := copy(b, d.current.data)
	d.current.data = d.current.data[n:]
	if len(d.current.data) > 0 {
		return n, nil
	}
	return n, d.current.err
}
