package entratest

import (
	"crypto/tls"
	"strings"
	"time"
)

func defaultSettings() settings { return settings{tokenLifetime: time.Hour} }

// SetTokenLifetime sets the life of the access tokens issued from now on: their exp claim and
// expires_in, in whole seconds. It is an hour at first. It may be zero or negative.
func (s *Server) SetTokenLifetime(
	d time.Duration,
) {
	s.set(func(k *settings) { k.tokenLifetime = d })
}

// SetRefreshIn adds refresh_in to the answers from now on; zero, as at first, leaves it out.
func (s *Server) SetRefreshIn(d time.Duration) { s.set(func(k *settings) { k.refreshIn = d }) }

// SetDelay makes each answer of a token endpoint or IMDS wait that long, or until the client goes
// away.
func (s *Server) SetDelay(d time.Duration) { s.set(func(k *settings) { k.delay = d }) }

// SetSNI makes the token proxy require that TLS server name; "" lifts the requirement.
func (s *Server) SetSNI(name string) { s.set(func(k *settings) { k.sni = name }) }

// Hold makes requests to a token endpoint or IMDS wait, after they were counted, until
// [Server.Release] or until their client goes away.
func (s *Server) Hold() {
	s.set(func(k *settings) {
		if k.held == nil {
			k.held = make(chan struct{})
		}
	})
}

// Release lets all held requests go on and ends holding. Without [Server.Hold] before it does
// nothing.
func (s *Server) Release() {
	s.set(func(k *settings) {
		if k.held != nil {
			close(k.held)
			k.held = nil
		}
	})
}

func (s *Server) requiredSNI() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sni
}

// SetLatency makes every answer behind the host names wait that long, documents too, of which
// [Server.SetDelay] knows nothing. Nothing else is done with a request before.
func (s *Server) SetLatency(d time.Duration) { s.set(func(k *settings) { k.latency = d }) }

// SetRoundTrip sets how long a round trip takes through tunnels of the CONNECT proxy that are made
// from now on. Its own answer takes one too: it stands for the connection that a client without a
// proxy would have to make.
func (s *Server) SetRoundTrip(roundTrip time.Duration) {
	s.set(func(k *settings) { k.roundTrip = roundTrip })
}

// SetALPN makes the main listener speak "h2" or "http/1.1" only; "" lifts that.
func (s *Server) SetALPN(alpn string) { s.set(func(k *settings) { k.conn.alpn = alpn }) }

// SetTLSVersion makes the main listener speak one version of TLS, as tls.VersionTLS11, and no
// other; 0 lifts that.
func (s *Server) SetTLSVersion(version uint16) {
	s.set(func(k *settings) { k.conn.tlsVersion = version })
}

// SetCertificateValidity makes the certificates of the main listener ones that are good between two
// times; zero times lift that.
func (s *Server) SetCertificateValidity(from, until time.Time) {
	a := s.conn.mainCA
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notBefore, a.notAfter, a.leaves = from, until, map[string]*tls.Certificate{}
}

// SetProxyPassword makes the CONNECT proxy want a user and a password; "" lifts that.
func (s *Server) SetProxyPassword(user, password string) {
	s.set(func(k *settings) { k.conn.proxyPassword = strings.TrimSuffix(user+":"+password, ":") })
}

// SetProxyDown makes the CONNECT proxy hang up on whoever calls, or take calls again. Tunnels that
// stand go on.
func (s *Server) SetProxyDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxy.down = down
}

// SetDevicePollInterval sets how often clients are told to ask, in whole seconds; 0, as at first,
// means one second. It is not enforced, and MSAL for Go pays no attention to it: it asks after 50
// ms, 150 ms and so on, up to every 5 s.
func (s *Server) SetDevicePollInterval(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceSettings.interval = d
}

// SetDeviceCodeLifetime sets the life of the device codes given out from now on; 0, as at first,
// means 15 minutes.
func (s *Server) SetDeviceCodeLifetime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceSettings.lifetime = d
}

// SlowDownPolls answers the next n polls of devices that wait with slow_down.
func (s *Server) SlowDownPolls(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceSettings.slowDowns = n
}

// SetUserRealm makes the users of a domain federated: passwords are none of Entra's business then,
// and metadataURL says where they are checked. "" makes them managed again, as all are at first.
func (s *Server) SetUserRealm(domain, metadataURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.realms == nil {
		s.realms = map[string]string{}
	}
	s.realms[strings.ToLower(domain)] = metadataURL
}
