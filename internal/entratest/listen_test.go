package entratest_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"
)

// tokenProxyClient returns a client that trusts caFile and sends a TLS server name, as azidentity
// does when it uses an AKS token proxy. An empty sni means the name in the URL.
func tokenProxyClient(t *testing.T, caFile, sni string) *http.Client {
	tr := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: certPool(t, caFile), ServerName: sni},
		ForceAttemptHTTP2: true,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestTokenProxy(t *testing.T) {
	r := &reportRecorder{T: t}
	s := newServer(r)
	const sni = "aks.ests.example"
	send := func(caFile, sni string) (response, error) {
		req := tokenRequest(s.TokenProxyURL(), tenantID, validForm(s))
		req.Host = "login.microsoftonline.com"
		return doRequest(tokenProxyClient(t, caFile, sni), req)
	}
	if got, err := send(s.TokenProxyCAFile, ""); err != nil || got.status != 200 {
		t.Errorf("without SNI: %v, %v", err, got)
	}
	s.SetSNI(sni)
	if got, err := send(s.TokenProxyCAFile, sni); err != nil || got.status != 200 {
		t.Errorf("with SNI: %v, %v", err, got)
	}
	if s.TokenProxyRequests() != 2 || s.TokenRequests() != 2 {
		t.Errorf("%d of %d requests were proxied", s.TokenProxyRequests(), s.TokenRequests())
	}
	want := "POST login.microsoftonline.com /token-proxy/" + tenantID + "/oauth2/v2.0/token"
	if got := s.Requests()[1]; got != want {
		t.Errorf("request %q, want %q", got, want)
	}
	var unknownCA x509.UnknownAuthorityError
	if _, err := send(s.CAFile, sni); !errors.As(err, &unknownCA) {
		t.Errorf("CA of the main listener: %v", err)
	}
	if reports := r.takeReports(); len(reports) != 0 {
		t.Errorf("reports %q", reports)
	}
	if _, err := send(s.TokenProxyCAFile, ""); err == nil {
		t.Error("no error without the required SNI")
	}
	if reports := r.takeReports(); len(reports) != 1 || !strings.Contains(reports[0], sni) {
		t.Errorf("reports %q, want one about %s", reports, sni)
	}
}

func TestUntrustedCA(t *testing.T) {
	s := newServer(t)
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	var unknownCA x509.UnknownAuthorityError
	if _, err := c.Get(s.URL); !errors.As(err, &unknownCA) {
		t.Errorf("%v", err)
	}
	if s.TokenRequests() != 0 || s.Connections() != 1 {
		t.Errorf("%d requests, %d connections", s.TokenRequests(), s.Connections())
	}
}

func TestHTTP1(t *testing.T) {
	s := newServer(t)
	c := directClient(t, s)
	disableHTTP2(c)
	for range 2 {
		got := postToken(t, c, s, validForm(s))
		if got.status != 200 || got.proto != "HTTP/1.1" {
			t.Errorf("%s %v", got.proto, got)
		}
	}
	if s.Connections() != 1 {
		t.Errorf("%d connections", s.Connections())
	}
}
