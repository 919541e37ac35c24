package entratest

import (
	"io"
	"net/http"
)

// FailNext makes the next n token requests meet f, after those that are queued already.
// A code that is not in the package's table is fatal.
func (s *Server) FailNext(n int, f Failure) {
	s.requireKnownCode(f.AADSTS)
	s.set(func(k *settings) { k.failures = append(k.failures, repeatFailure(n, f)...) })
}

// FailEvery makes every nth token request from now on meet one of the failures, in turn. Those that
// meet a queued failure are not counted. Without failures it ends.
func (s *Server) FailEvery(n int, failures ...Failure) {
	var all []Failure
	for _, f := range failures {
		s.requireKnownCode(f.AADSTS)
		all = append(all, repeatFailure(1, f)...)
	}
	s.set(func(k *settings) { k.failEvery = failureCycle{n: n, failures: all} })
}

// FailNextConn makes the next n token requests that would be granted meet w; the connections have
// to be HTTP/1.1.
func (s *Server) FailNextConn(n int, w ConnFault) {
	s.set(
		func(k *settings) { k.failures = append(k.failures, repeatFailure(n, Failure{connFault: w})...) },
	)
}

// ClearFailures forgets the failures that were not met yet.
func (s *Server) ClearFailures() { s.set(func(k *settings) { k.failures = nil }) }

// SetProxyFault makes the CONNECT proxy do something else than connecting; nil lifts that. good is
// its proper answer.
func (s *Server) SetProxyFault(w ConnFault) { s.set(func(k *settings) { k.conn.proxyFault = w }) }

func (s *Server) runConnFault(w http.ResponseWriter, wire ConnFault, good []byte) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.tb.Errorf("entratest: a Wire needs HTTP/1.1: %v", err)
		return
	}
	defer s.trackConn(conn)()
	heard, gone := make(chan struct{}), make(chan struct{})
	go func() {
		io.CopyN(io.Discard, conn, 1)
		close(heard)
		io.Copy(io.Discard, conn) // the client hangs up, or we do
		close(gone)
	}()
	wire(&faultConn{conn, heard, gone}, good)
	conn.Close()
	<-gone
}

// FailDeviceCode makes the next n requests for device codes meet f.
func (s *Server) FailDeviceCode(n int, f Failure) {
	s.requireKnownCode(f.AADSTS)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceSettings.failures = append(s.deviceSettings.failures, repeatFailure(n, f)...)
}

// FailGitHub makes the next n requests for ID tokens meet f. StartWorkflow has no AADSTS codes: f
// must not have one.
func (s *Server) FailGitHub(n int, f Failure) {
	if f.AADSTS != 0 {
		s.tb.Fatalf("entratest: GitHub does not answer with AADSTS%d", f.AADSTS)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.github.failures = append(s.github.failures, repeatFailure(n, f)...)
}

// FailPipelines makes the next n requests for ID tokens of service connections meet f. Azure DevOps
// has no AADSTS codes: f must not have one.
func (s *Server) FailPipelines(n int, f Failure) {
	if f.AADSTS != 0 {
		s.tb.Fatalf("entratest: Azure Pipelines does not answer with AADSTS%d", f.AADSTS)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipelines.failures = append(s.pipelines.failures, repeatFailure(n, f)...)
}

// FailIMDS makes the next n requests to a managed identity endpoint meet f. What IMDS cannot do has
// AADSTS codes in its texts only: f must not have one.
func (s *Server) FailIMDS(n int, f Failure) {
	if f.AADSTS != 0 {
		s.tb.Fatalf("entratest: IMDS does not answer with AADSTS%d", f.AADSTS)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.identities.failures = append(s.identities.failures, repeatFailure(n, f)...)
}

// FailResourceManager makes the next n requests to Azure Resource Manager meet f. It has no AADSTS
// codes: f must not have one.
func (s *Server) FailResourceManager(n int, f Failure) {
	if f.AADSTS != 0 {
		s.tb.Fatalf("entratest: Azure Resource Manager does not answer with AADSTS%d", f.AADSTS)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arm.failures = append(s.arm.failures, repeatFailure(n, f)...)
}
