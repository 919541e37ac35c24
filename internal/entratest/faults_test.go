package entratest_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

// Every code can be asked for, and no text keeps a word of ours unfilled.
func TestFailNextWithEachCode(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, false)
	unfilled := regexp.MustCompile(`\{[a-z]\w*\}`)
	for code, want := range map[int]struct {
		status int
		error  string
	}{
		50027: {400, "invalid_request"}, 50034: {400, "invalid_grant"}, 50049: {400, "invalid_instance"}, 53003: {400, "invalid_grant"},
		65001: {400, "invalid_grant"}, 70011: {400, "invalid_scope"}, 70021: {400, "invalid_request"}, 70023: {400, "invalid_request"},
		700016: {400, "unauthorized_client"}, 700021: {401, "invalid_client"}, 700024: {401, "invalid_client"}, 700027: {401, "invalid_client"},
		700211: {401, "invalid_client"}, 700212: {401, "invalid_client"}, 700213: {401, "invalid_client"}, 7000112: {400, "unauthorized_client"},
		7000113: {400, "unauthorized_client"}, 7000215: {401, "invalid_client"}, 7000222: {401, "invalid_client"}, 90002: {400, "invalid_request"},
		90014: {400, "invalid_request"}, 90033: {503, "temporarily_unavailable"}, 500011: {400, "invalid_resource"}, 1002012: {400, "invalid_scope"},
	} {
		s.FailNext(1, entratest.Failure{AADSTS: code})
		got := exchange(t, s, c, assertionForm(s.Assertion(entratest.Claims{Subject: subject})))
		if !slices.Equal(got.Codes, []int{code}) || got.status != want.status || got.Error != want.error {
			t.Errorf("%d: %d %s", code, got.status, got.raw)
		}
		if word := unfilled.FindString(got.Description); word != "" {
			t.Errorf("%d: %s is left in %q", code, word, got.Description)
		}
	}
}

func TestFailNext(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, false)
	send := func() (response, error) {
		return doRequest(c, tokenRequest(s.URL, tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject}))))
	}
	s.FailNext(2, entratest.Failure{Status: 429, Header: http.Header{"Retry-After": {"7"}}, Body: `{"error":"busy"}`})
	s.FailNext(1, entratest.Failure{Body: "<html>portal</html>"})
	s.FailNext(1, entratest.Failure{Redirect: "https://elsewhere.example/token"})
	s.FailNext(1, entratest.Failure{AADSTS: 90033, Status: 500})
	for i := range 2 {
		if got, err := send(); err != nil || got.status != 429 || got.header.Get("Retry-After") != "7" || got.Error != "busy" {
			t.Errorf("answer %d: %v %+v", i, err, got)
		}
	}
	if got, err := send(); err != nil || got.status != 200 || got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.raw != "<html>portal</html>" {
		t.Errorf("%v %+v", err, got)
	}
	if got, err := send(); err != nil || got.status != 307 || got.header.Get("Location") != "https://elsewhere.example/token" {
		t.Errorf("%v %+v", err, got)
	}
	if got, err := send(); err != nil || got.status != 500 || !slices.Equal(got.Codes, []int{90033}) {
		t.Errorf("%v %+v", err, got)
	}
	if got, err := send(); err != nil || got.status != 200 || got.AccessToken == "" {
		t.Errorf("after the failures: %v %+v", err, got)
	}
	if s.TokenRequests() != 6 || s.Issued() != 1 {
		t.Errorf("%d requests, %d issued", s.TokenRequests(), s.Issued())
	}
}

func TestFailEvery(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, false)
	s.FailEvery(3, entratest.Failure{AADSTS: 90033}, entratest.Failure{Status: 429, Body: "{}"})
	var got []int
	send := func(n int) {
		for range n {
			got = append(got, exchange(t, s, c, assertionForm(s.Assertion(entratest.Claims{Subject: subject}))).status)
		}
	}
	send(4)
	s.FailNext(1, entratest.Failure{Status: 500, Body: "{}"}) // is not counted
	send(6)
	s.FailEvery(0)
	send(3)
	if want := []int{200, 200, 503, 200, 500, 200, 429, 200, 200, 503, 200, 200, 200}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestBrokenConnections(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, viaProxy := range []bool{false, true} {
			t.Run(fmt.Sprintf("h2=%v proxy=%v", http2, viaProxy), func(t *testing.T) {
				s := newServer(t)
				c := newClient(t, s, viaProxy)
				if !http2 {
					c.Transport.(*http.Transport).ForceAttemptHTTP2 = false
				}
				base := s.URL
				if viaProxy {
					base = "https://login.microsoftonline.com"
				}
				send := func() (*http.Response, error) {
					return c.Do(tokenRequest(base, tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject}))))
				}
				s.FailNext(1, entratest.Failure{Break: entratest.BreakConnection})
				if resp, err := send(); err == nil {
					resp.Body.Close()
					t.Errorf("BreakConnection: %s", resp.Status)
				}
				s.FailNext(1, entratest.Failure{Break: entratest.BreakBody, Body: `{"half":`})
				resp, err := send()
				if err != nil {
					t.Fatalf("BreakBody: %v", err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err == nil || string(body) != `{"half":` {
					t.Errorf("BreakBody: %v after %q", err, body)
				}
				resp, err = send()
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("afterwards: %v", err)
				}
				resp.Body.Close()
				// Connections are not counted: net/http sometimes dials twice after one broke.
				if s.TokenRequests() != 3 {
					t.Errorf("%d requests", s.TokenRequests())
				}
			})
		}
	}
}

// The texts of all refusals are filled, whoever asked.
func TestRefusalTextsHaveNoPlaceholders(t *testing.T) {
	s := newServerWithUsers(t)
	for _, code := range []int{
		50011, 50034, 50053, 50055, 50057, 50076, 50079, 50126, 50158, 50173, 50194, 53000, 53003, 54005, 65001, 65004, 70008, 70016, 70018, 70019, 70020, 70043,
		700003, 700082, 700084, 7000215, 7000218, 7000222, 9002341,
	} {
		s.FailNext(1, entratest.Failure{AADSTS: code})
		status, got := post(t, newClient(t, s, false), s, tenantID, "token", passwordForm(alice, alicePassword))
		if !slices.Equal(got.Codes, []int{code}) || status != 400 && (status != 401 || got.Error != "invalid_client") {
			t.Errorf("%d %+v", status, got)
		}
		if text := strings.ReplaceAll(got.Description, "{EmailHidden}", ""); strings.ContainsAny(text, "{}") {
			t.Errorf("description %q", text)
		}
	}
}
