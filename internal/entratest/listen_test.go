package entratest_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

// tokenProxyClient speaks to the token proxy as azidentity does: the proxy's address, Entra's Host,
// the SNI asked for.
func tokenProxyClient(t *testing.T, caFile, sni string) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: certPool(t, caFile), ServerName: sni}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestTokenProxy(t *testing.T) {
	r := &recorder{T: t}
	s := entratest.New(r)
	s.Register(app(s))
	const sni = "aks.ests.example"
	send := func(c *http.Client) (response, error) {
		req := tokenRequest(s.TokenProxyURL(), tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject})))
		req.Host = "login.microsoftonline.com"
		return doRequest(c, req)
	}
	if got, err := send(tokenProxyClient(t, s.TokenProxyCAFile, "")); err != nil || got.status != 200 {
		t.Errorf("without SNI: %v %s", err, got.raw)
	}
	s.SetSNI(sni)
	if got, err := send(tokenProxyClient(t, s.TokenProxyCAFile, sni)); err != nil || got.status != 200 {
		t.Errorf("with SNI: %v %s", err, got.raw)
	}
	if s.TokenProxyRequests() != 2 || s.TokenRequests() != 2 {
		t.Errorf("%d of %d requests were proxied", s.TokenProxyRequests(), s.TokenRequests())
	}
	if got, want := s.Requests()[1], "POST login.microsoftonline.com /token-proxy/"+tenantID+"/oauth2/v2.0/token"; got != want {
		t.Errorf("request %q, want %q", got, want)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := send(tokenProxyClient(t, s.CAFile, sni)); !errors.As(err, &unknown) {
		t.Errorf("Entra's CA: %v", err)
	}
	if complaints := r.takeReports(); len(complaints) != 0 {
		t.Errorf("complaints %q", complaints)
	}
	if _, err := send(tokenProxyClient(t, s.TokenProxyCAFile, "")); err == nil {
		t.Error("SNI was not required")
	}
	if complaints := r.takeReports(); len(complaints) != 1 || !strings.Contains(complaints[0], sni) {
		t.Errorf("complaints %q", complaints)
	}
}

func TestUntrustedCA(t *testing.T) {
	s := newServer(t)
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}}
	var unknown x509.UnknownAuthorityError
	if _, err := c.Get(s.URL); !errors.As(err, &unknown) {
		t.Errorf("%v", err)
	}
	if s.TokenRequests() != 0 || s.Connections() != 1 {
		t.Errorf("%d requests, %d connections", s.TokenRequests(), s.Connections())
	}
}

func TestHTTP1(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, false)
	c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	for range 2 {
		if got := exchange(t, s, c, assertionForm(s.Assertion(entratest.Claims{Subject: subject}))); got.status != 200 || got.proto != "HTTP/1.1" {
			t.Errorf("%s %s", got.proto, got.raw)
		}
	}
	if s.Connections() != 1 {
		t.Errorf("%d connections", s.Connections())
	}
}
