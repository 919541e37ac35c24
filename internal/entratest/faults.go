package entratest

import (
	"io"
	"net/http"
)

// FailNext makes the next n token requests meet f, after the failures that are queued already.
// Requests that are reported as unexpected do not count. An AADSTS code that the package does not
// know is fatal.
func (s *Server) FailNext(n int, f Failure) {
	s.requireKnownCode(f.AADSTS)
	s.set(func(st *settings) { st.failures = append(st.failures, repeatFailure(n, f)...) })
}

// FailEvery makes every nth token request from now on meet one of the failures, in turn; n is at
// least 1. Requests that meet a failure of [Server.FailNext] do not count. Without failures it ends
// an earlier FailEvery. Another n and an AADSTS code that the package does not know are fatal.
func (s *Server) FailEvery(n int, failures ...Failure) {
	if n < 1 && len(failures) > 0 {
		s.tb.Fatalf("entratest: FailEvery(%d): n must be at least 1", n)
	}
	var all []Failure
	for _, f := range failures {
		s.requireKnownCode(f.AADSTS)
		all = append(all, repeatFailure(1, f)...)
	}
	s.set(func(st *settings) { st.failEvery = failureCycle{n: n, failures: all} })
}

// FailNextConn makes the next n token requests that would get a token meet a connection fault
// instead, after the failures that are queued already. Requests that are refused do not count. The
// connections must use HTTP/1.1, see [Server.SetALPN].
func (s *Server) FailNextConn(n int, fault ConnFault) {
	failures := repeatFailure(n, Failure{connFault: fault})
	s.set(func(st *settings) { st.failures = append(st.failures, failures...) })
}

// ClearFailures ends what all methods whose names begin with Fail have set: FailEvery, and the
// queues of all endpoints.
func (s *Server) ClearFailures() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failEvery = failureCycle{}
	for _, queue := range []*[]Failure{
		&s.failures, &s.deviceSettings.failures, &s.github.failures, &s.pipelines.failures,
		&s.identities.failures, &s.arm.failures,
	} {
		*queue = nil
	}
}

// SetProxyFault makes the CONNECT proxy run a connection fault instead of opening tunnels. The
// fault gets the proxy's proper response to CONNECT. nil restores the tunnels.
func (s *Server) SetProxyFault(fault ConnFault) {
	s.set(func(st *settings) { st.conn.proxyFault = fault })
}

// runConnFault takes over the connection of a request and runs a fault on it.
func (s *Server) runConnFault(w http.ResponseWriter, fault ConnFault, response []byte) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.tb.Errorf("entratest: a ConnFault needs HTTP/1.1: %v", err)
		return
	}
	defer s.trackConn(conn)()
	moreInput, hungUp := make(chan struct{}), make(chan struct{})
	go func() {
		io.CopyN(io.Discard, conn, 1)
		close(moreInput)
		io.Copy(io.Discard, conn) // until the client hangs up or the conn.Close below
		close(hungUp)
	}()
	fault(&faultConn{conn, moreInput, hungUp}, response)
	conn.Close()
	<-hungUp
}

// FailDeviceCode makes the next n requests for device codes meet f. An AADSTS code that the package
// does not know is fatal.
func (s *Server) FailDeviceCode(n int, f Failure) {
	s.requireKnownCode(f.AADSTS)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deviceSettings.failures = append(s.deviceSettings.failures, repeatFailure(n, f)...)
}

// FailGitHub makes the next n requests for ID tokens of GitHub Actions meet f. An AADSTS code in f
// is fatal.
func (s *Server) FailGitHub(n int, f Failure) {
	s.queueFailure("GitHub", &s.github.failures, n, f)
}

// FailPipelines makes the next n requests for ID tokens of Azure Pipelines meet f. An AADSTS code
// in f is fatal.
func (s *Server) FailPipelines(n int, f Failure) {
	s.queueFailure("Azure Pipelines", &s.pipelines.failures, n, f)
}

// FailIMDS makes the next n requests to a managed identity endpoint meet f. An AADSTS code in f is
// fatal: IMDS has such codes in the texts of its errors only.
func (s *Server) FailIMDS(n int, f Failure) {
	s.queueFailure("IMDS", &s.identities.failures, n, f)
}

// FailResourceManager makes the next n requests to Azure Resource Manager meet f. An AADSTS code in
// f is fatal.
func (s *Server) FailResourceManager(n int, f Failure) {
	s.queueFailure("Azure Resource Manager", &s.arm.failures, n, f)
}

// queueFailure adds failures to the queue of a service that has no AADSTS codes.
func (s *Server) queueFailure(service string, queue *[]Failure, n int, f Failure) {
	if f.AADSTS != 0 {
		s.tb.Fatalf("entratest: %s does not answer with AADSTS%d", service, f.AADSTS)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	*queue = append(*queue, repeatFailure(n, f)...)
}
