package entratest

import (
	"crypto/tls"
	"strings"
	"time"
)

func defaultSettings() settings { return settings{tokenLifetime: time.Hour} }

// SetTokenLifetime sets the lifetime of the access tokens issued from now on: their exp claim and
// expires_in, in whole seconds. The default is one hour. It may be zero or negative.
func (s *Server) SetTokenLifetime(d time.Duration) {
	s.set(func(st *settings) { st.tokenLifetime = d })
}

// SetRefreshIn adds refresh_in, in whole seconds, to token responses from now on. Zero, the
// default, leaves it out.
func (s *Server) SetRefreshIn(d time.Duration) { s.set(func(st *settings) { st.refreshIn = d }) }

// SetDelay delays each response of a token endpoint and of IMDS by d. The wait ends early if the
// client goes away.
func (s *Server) SetDelay(d time.Duration) { s.set(func(st *settings) { st.delay = d }) }

// SetSNI makes the token proxy require that TLS server name. "" lifts the requirement.
func (s *Server) SetSNI(name string) { s.set(func(st *settings) { st.sni = name }) }

// Hold makes requests to a token endpoint or IMDS wait, after they were counted, until
// [Server.Release] is called or their client goes away.
func (s *Server) Hold() {
	s.set(func(st *settings) {
		if st.release == nil {
			st.release = make(chan struct{})
		}
	})
}

// Release lets all held requests go on and ends [Server.Hold]. It does nothing if no Hold is in
// effect.
func (s *Server) Release() {
	s.set(func(st *settings) {
		if st.release != nil {
			close(st.release)
			st.release = nil
		}
	})
}

func (s *Server) requiredSNI() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sni
}

// SetLatency delays every request to the main listener by d, before it is processed and counted as
// a token request. Unlike [Server.SetDelay] it applies to documents too.
func (s *Server) SetLatency(d time.Duration) { s.set(func(st *settings) { st.latency = d }) }

// SetRoundTrip sets the round-trip time of CONNECT tunnels opened from now on. The proxy's response
// to CONNECT takes one round trip too: it stands for the connection setup of a client that uses no
// proxy.
func (s *Server) SetRoundTrip(d time.Duration) { s.set(func(st *settings) { st.roundTrip = d }) }

// SetALPN makes all TLS listeners negotiate only "h2" or only "http/1.1": the main listener, the
// token proxy and that of [Server.InterceptTLS]. "" restores both.
func (s *Server) SetALPN(alpn string) { s.set(func(st *settings) { st.conn.alpn = alpn }) }

// SetTLSVersion makes all TLS listeners accept a single TLS version, such as tls.VersionTLS11. 0
// restores the default, 1.2 and newer.
func (s *Server) SetTLSVersion(version uint16) {
	s.set(func(st *settings) { st.conn.tlsVersion = version })
}

// SetCertificateValidity makes the main listener present certificates that are valid from notBefore
// until notAfter. Those of the token proxy and of [Server.InterceptTLS] do not change. Zero times
// restore the default.
func (s *Server) SetCertificateValidity(notBefore, notAfter time.Time) {
	a := s.conn.mainCA
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notBefore, a.notAfter, a.leaves = notBefore, notAfter, map[string]*tls.Certificate{}
}

// SetProxyPassword makes the CONNECT proxy require basic authentication with that user and
// password. An empty user and password lift the requirement.
func (s *Server) SetProxyPassword(user, password string) {
	s.set(func(st *settings) { st.conn.proxyPassword = strings.TrimSuffix(user+":"+password, ":") })
}

// SetProxyDown makes the CONNECT proxy close new connections at once, or accept them again. Open
// tunnels continue.
func (s *Server) SetProxyDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxy.down = down
}

// SetDevicePollInterval sets the poll interval that device code responses announce, in whole
// seconds. 0, the default, means one second. It is not enforced, and MSAL for Go ignores it: it
// polls after 50 ms, 150 ms and so on, up to every 5 s.
func (s *Server) SetDevicePollInterval(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceSettings.interval = d
}

// SetDeviceCodeLifetime sets the lifetime of the device codes issued from now on. 0, the default,
// means 15 minutes.
func (s *Server) SetDeviceCodeLifetime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceSettings.lifetime = d
}

// SlowDownPolls answers the next n polls of pending devices with slow_down. n replaces the number
// of an earlier call.
func (s *Server) SlowDownPolls(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceSettings.slowDowns = n
}

// SetUserRealm makes the users of a domain federated: another identity provider checks their
// passwords. metadataURL is the URL of its WS-Trust metadata, which usually ends with
// /adfs/services/trust/mex. "" makes the users managed again, the default.
func (s *Server) SetUserRealm(domain, metadataURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.realms == nil {
		s.realms = map[string]string{}
	}
	s.realms[strings.ToLower(domain)] = metadataURL
}
