package entratest_test

import (
	"slices"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

func TestRealNamesThroughProxy(t *testing.T) {
	s := newServer(t)
	for _, host := range []string{
		"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn",
		"login.chinacloudapi.cn", "login.windows.net",
	} {
		s.ResetCounters()
		c := newClient(t, s, true)
		got, err := doRequest(c, tokenRequest("https://"+host, domain, assertionForm(s.Assertion(entratest.Claims{Subject: subject}))))
		if err != nil || got.status != 200 || got.proto != "HTTP/2.0" {
			t.Errorf("%s: %v %s", host, err, got.raw)
		}
		if got := s.ProxyConnects(); !slices.Equal(got, []string{host + ":443"}) {
			t.Errorf("%s: CONNECTs %q", host, got)
		}
		if got := s.Requests(); !slices.Equal(got, []string{"POST " + host + " /" + domain + "/oauth2/v2.0/token"}) {
			t.Errorf("%s: requests %q", host, got)
		}
		if s.Connections() != 1 {
			t.Errorf("%s: %d connections", host, s.Connections())
		}
	}
}

func TestProxyDown(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, true)
	s.SetProxyDown(true)
	if _, err := doRequest(c, tokenRequest("https://login.microsoftonline.com", tenantID, assertionForm("x"))); err == nil {
		t.Error("the proxy is down and yet served")
	}
	s.SetProxyDown(false)
	got, err := doRequest(c, tokenRequest("https://login.microsoftonline.com", tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject}))))
	if err != nil || got.status != 200 {
		t.Errorf("%v %s", err, got.raw)
	}
	if len(s.ProxyConnects()) != 1 {
		t.Errorf("CONNECTs %q", s.ProxyConnects())
	}
}
