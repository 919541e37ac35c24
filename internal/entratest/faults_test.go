package entratest_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

func TestFailNextWithEachCode(t *testing.T) {
	s := newServer(t)
	c := directClient(t, s)
	placeholder := regexp.MustCompile(`\{[a-z]\w*\}`)
	for code, want := range map[int]struct {
		status     int
		oauthError string
	}{
		50027:   {400, "invalid_request"},
		50034:   {400, "invalid_grant"},
		50049:   {400, "invalid_instance"},
		53003:   {400, "invalid_grant"},
		65001:   {400, "invalid_grant"},
		70011:   {400, "invalid_scope"},
		70021:   {400, "invalid_request"},
		70023:   {400, "invalid_request"},
		700016:  {400, "unauthorized_client"},
		700021:  {401, "invalid_client"},
		700024:  {401, "invalid_client"},
		700027:  {401, "invalid_client"},
		700211:  {401, "invalid_client"},
		700212:  {401, "invalid_client"},
		700213:  {401, "invalid_client"},
		7000112: {400, "unauthorized_client"},
		7000113: {400, "unauthorized_client"},
		7000215: {401, "invalid_client"},
		7000222: {401, "invalid_client"},
		90002:   {400, "invalid_request"},
		90014:   {400, "invalid_request"},
		90033:   {503, "temporarily_unavailable"},
		500011:  {400, "invalid_resource"},
		1002012: {400, "invalid_scope"},
	} {
		s.FailNext(1, entratest.Failure{AADSTS: code})
		got := postToken(t, c, s, validForm(s))
		if !got.refusedWith(code) || got.status != want.status || got.Error != want.oauthError {
			t.Errorf("%d: %v", code, got)
		}
		if left := placeholder.FindString(got.Description); left != "" {
			t.Errorf("%d: %s is not filled in: %q", code, left, got.Description)
		}
	}
}

func TestFailNext(t *testing.T) {
	s := newServer(t)
	c := directClient(t, s)
	send := func() (response, error) {
		return doRequest(c, tokenRequest(s.URL, tenantID, validForm(s)))
	}
	const page, elsewhere = "<html>portal</html>", "https://elsewhere.example/token"
	s.FailNext(2, entratest.Failure{
		Status: 429, Header: http.Header{"Retry-After": {"7"}}, Body: `{"error":"busy"}`,
	})
	s.FailNext(1, entratest.Failure{Body: page})
	s.FailNext(1, entratest.Failure{Redirect: elsewhere})
	s.FailNext(1, entratest.Failure{AADSTS: 90033, Status: 500})
	for i := range 2 {
		got, err := send()
		retryAfter := got.header.Get("Retry-After")
		if err != nil || got.status != 429 || retryAfter != "7" || got.Error != "busy" {
			t.Errorf("response %d: %v, %v, Retry-After %q", i, err, got, retryAfter)
		}
	}
	got, err := send()
	contentType := got.header.Get("Content-Type")
	if err != nil || got.status != 200 || contentType != "text/html; charset=utf-8" ||
		got.raw != page {
		t.Errorf("page: %v, %v, %s", err, got, contentType)
	}
	got, err = send()
	if err != nil || got.status != 307 || got.header.Get("Location") != elsewhere {
		t.Errorf("redirect: %v, %v, %v", err, got, got.header)
	}
	if got, err := send(); err != nil || got.status != 500 || !got.refusedWith(90033) {
		t.Errorf("refusal: %v, %v", err, got)
	}
	if got, err := send(); err != nil || got.status != 200 || got.AccessToken == "" {
		t.Errorf("after the failures: %v, %v", err, got)
	}
	if s.TokenRequests() != 6 || s.Issued() != 1 {
		t.Errorf("%d requests, %d issued", s.TokenRequests(), s.Issued())
	}
}

func TestFailEvery(t *testing.T) {
	s := newServer(t)
	c := directClient(t, s)
	throttled := entratest.Failure{Status: 429, Body: "{}"}
	s.FailEvery(3, entratest.Failure{AADSTS: 90033}, throttled)
	var got []int
	send := func(n int) {
		for range n {
			got = append(got, postToken(t, c, s, validForm(s)).status)
		}
	}
	send(4)
	s.FailNext(1, entratest.Failure{Status: 500, Body: "{}"}) // FailEvery does not count this one
	send(6)
	s.FailEvery(0)
	send(3)
	want := []int{200, 200, 503, 200, 500, 200, 429, 200, 200, 503, 200, 200, 200}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestFailEveryRefusesZero(t *testing.T) {
	s := newServer(fatalTB{t})
	for _, n := range []int{0, -1} {
		wantFatal(t, fmt.Sprint(n), "FailEvery", func() { s.FailEvery(n, entratest.Failure{}) })
	}
}

// A request that is reported as unexpected gets its own error, and is not one of the next n.
func TestFailNextSkipsUnexpectedRequests(t *testing.T) {
	r := &reportRecorder{T: t}
	s := newServer(r)
	c := directClient(t, s)
	s.FailNext(1, entratest.Failure{Status: 503, Body: "{}"})
	s.FailNext(1, entratest.Failure{Status: 504, Body: "{}"})
	if got := postToken(t, c, s, withValues(validForm(s), "resource", "x")); got.status != 400 {
		t.Errorf("unexpected request: %v", got)
	}
	r.wantOneReport(t)
	for _, want := range []int{503, 504, 200} {
		if got := postToken(t, c, s, validForm(s)); got.status != want {
			t.Errorf("%v, want %d", got, want)
		}
	}
}

// A refused request gets its refusal, and is not one of the next n that would get a token.
func TestFailNextConnSkipsRefusedRequests(t *testing.T) {
	s := newServer(t)
	s.SetALPN("http/1.1")
	c := directClient(t, s)
	s.FailNextConn(1, entratest.ConnFaults["cut-last-byte"])
	refused := withValues(validForm(s), "client_id", tenantID)
	if got := postToken(t, c, s, refused); !got.refusedWith(700016) {
		t.Errorf("refused request: %v", got)
	}
	if got, err := doRequest(c, tokenRequest(s.URL, tenantID, validForm(s))); err == nil {
		t.Errorf("no fault: %v", got)
	}
	if got := postToken(t, c, s, validForm(s)); got.status != 200 {
		t.Errorf("after the fault: %v", got)
	}
}

func TestClearFailures(t *testing.T) {
	s := newServerWithUsers(t)
	c := directClient(t, s)
	assignIdentities(s)
	uri, _ := s.StartPipeline()
	gitHubURL, gitHubToken := s.StartGitHubWorkflow("a subject")
	f := entratest.Failure{Status: 503, Body: "{}"}
	for _, fail := range []func(int, entratest.Failure){
		s.FailNext, s.FailDeviceCode, s.FailGitHub, s.FailPipelines, s.FailIMDS,
		s.FailResourceManager,
	} {
		fail(1, f)
	}
	s.FailNextConn(1, entratest.ConnFaults["hang"])
	s.FailEvery(1, f)
	s.ClearFailures()
	for name, send := range map[string]func() int{
		"token":      func() int { return postToken(t, c, s, validForm(s)).status },
		"devicecode": func() int { return postDeviceCode(t, s, tenantID).status },
		"GitHub": func() int {
			_, status := githubIDToken(t, proxyClient(t, s), gitHubURL, gitHubToken)
			return status
		},
		"Azure Pipelines": func() int {
			const query = "?api-version=7.1&serviceConnectionId=" + connectionID
			req, err := http.NewRequest("POST", uri+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			return sendARM(t, proxyClient(t, s), req).status
		},
		"IMDS": func() int {
			query := "&resource=" + entratest.AKSServerID
			req := imdsRequest(t, s.IMDSURL+imdsPath+query, "Metadata: true")
			return sendARM(t, http.DefaultClient, req).status
		},
		"Azure Resource Manager": func() int {
			return sendARM(t, proxyClient(t, s), armRequest(arm, clusterID, credentialPath, "x")).status
		},
	} {
		if status := send(); status == 503 {
			t.Errorf("%s still fails", name)
		}
	}
}

func TestBrokenConnections(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, viaProxy := range []bool{false, true} {
			t.Run(fmt.Sprintf("h2=%v proxy=%v", http2, viaProxy), func(t *testing.T) {
				s := newServer(t)
				c, base := directClient(t, s), s.URL
				if viaProxy {
					c, base = proxyClient(t, s), publicCloud
				}
				if !http2 {
					disableHTTP2(c)
				}
				testBrokenConnection(t, s, c, base)
			})
		}
	}
}

func testBrokenConnection(t *testing.T, s *entratest.Server, c *http.Client, base string) {
	send := func() (*http.Response, error) {
		return c.Do(tokenRequest(base, tenantID, validForm(s)))
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
		t.Fatalf("after the failures: %v", err)
	}
	resp.Body.Close()
	// Connections are not counted: net/http sometimes dials twice after one breaks.
	if s.TokenRequests() != 3 {
		t.Errorf("%d requests", s.TokenRequests())
	}
}

// A refusal has no {placeholder} left, even when the request has no value for it.
func TestRefusalTextsHaveNoPlaceholders(t *testing.T) {
	s := newServerWithUsers(t)
	c := directClient(t, s)
	for _, code := range []int{
		50011, 50034, 50053, 50055, 50057, 50076, 50079, 50126, 50158, 50173, 50194, 53000,
		53003, 54005, 65001, 65004, 70008, 70016, 70018, 70019, 70020, 70043, 700003, 700082,
		700084, 7000215, 7000218, 7000222, 9002341,
	} {
		s.FailNext(1, entratest.Failure{AADSTS: code})
		got := postToken(t, c, s, passwordForm(alice, alicePassword))
		if !got.refusedWith(code) ||
			got.status != 400 && (got.status != 401 || got.Error != "invalid_client") {
			t.Errorf("%d: %v", code, got)
		}
		if hasPlaceholder(got.Description) {
			t.Errorf("description %q", got.Description)
		}
	}
}
