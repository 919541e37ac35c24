package entratest_test

import (
	"slices"
	"testing"
)

func TestRealNamesThroughProxy(t *testing.T) {
	s := newServer(t)
	for _, host := range []string{
		"login.microsoftonline.com", "login.microsoftonline.us", "login.partner.microsoftonline.cn",
		"login.chinacloudapi.cn", "login.windows.net",
	} {
		s.ResetCounters()
		c := proxyClient(t, s)
		got, err := doRequest(c, tokenRequest("https://"+host, domain, validForm(s)))
		if err != nil || got.status != 200 || got.proto != "HTTP/2.0" {
			t.Errorf("%s: %v, %s, %v", host, err, got.proto, got)
		}
		if got := s.ProxyConnects(); !slices.Equal(got, []string{host + ":443"}) {
			t.Errorf("%s: CONNECT requests %q", host, got)
		}
		want := "POST " + host + " /" + domain + "/oauth2/v2.0/token"
		if got := s.Requests(); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: requests %q", host, got)
		}
		if s.Connections() != 1 {
			t.Errorf("%s: %d connections", host, s.Connections())
		}
	}
}

func TestProxyDown(t *testing.T) {
	s := newServer(t)
	c := proxyClient(t, s)
	s.SetProxyDown(true)
	if _, err := doRequest(c, tokenRequest(publicCloud, tenantID, assertionForm("x"))); err == nil {
		t.Error("no error while the proxy is down")
	}
	s.SetProxyDown(false)
	got, err := doRequest(c, tokenRequest(publicCloud, tenantID, validForm(s)))
	if err != nil || got.status != 200 {
		t.Errorf("%v, %v", err, got)
	}
	if len(s.ProxyConnects()) != 1 {
		t.Errorf("CONNECT requests %q", s.ProxyConnects())
	}
}
