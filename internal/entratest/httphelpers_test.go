package entratest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
)

// assertionForm is the body of a token request of testApp with a client assertion.
func assertionForm(assertion string) url.Values {
	return url.Values{
		"client_assertion":      {assertion},
		"client_assertion_type": {jwtType},
		"client_id":             {clientID},
		"client_info":           {"1"},
		"grant_type":            {"client_credentials"},
		"scope":                 {aksScope + oidcScopes},
	}
}

// validForm is assertionForm with an assertion that testApp accepts.
func validForm(s *entratest.Server) url.Values {
	return assertionForm(s.Assertion(entratest.Claims{Subject: subject}))
}

// passwordForm is the body of a token request with the password grant.
func passwordForm(name, password string) url.Values {
	return url.Values{
		"client_id":   {aksClient},
		"client_info": {"1"},
		"grant_type":  {"password"},
		"password":    {password},
		"scope":       {aksScope + oidcScopes},
		"username":    {name},
	}
}

// withValues returns a copy of f with other values. An empty value removes the parameter.
func withValues(f url.Values, pairs ...string) url.Values {
	f = maps.Clone(f)
	for pair := range slices.Chunk(pairs, 2) {
		f.Set(pair[0], pair[1])
		if pair[1] == "" {
			f.Del(pair[0])
		}
	}
	return f
}

// response is an HTTP response. The exported fields are decoded from its JSON.
type response struct {
	status int
	header http.Header
	proto  string
	raw    string

	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	ExtExpiresIn int    `json:"ext_expires_in"`
	RefreshIn    *int   `json:"refresh_in"`
	Scope        string `json:"scope"`
	IDToken      string `json:"id_token"`
	ClientInfo   string `json:"client_info"`
	RefreshToken string `json:"refresh_token"`
	FamilyID     string `json:"foci"`
	DeviceCode   string `json:"device_code"`
	UserCode     string `json:"user_code"`
	Interval     int    `json:"interval"`

	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri"`
}

func (r response) String() string { return fmt.Sprintf("%d %s", r.status, r.raw) }

// refusedWith reports whether the response is Entra's refusal with one AADSTS code.
func (r response) refusedWith(aadsts int) bool { return slices.Equal(r.Codes, []int{aadsts}) }

// doRequest sends a request and reads the response. JSON in it is decoded.
func doRequest(c *http.Client, req *http.Request) (response, error) {
	resp, err := c.Do(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return response{}, err
	}
	r := response{
		status: resp.StatusCode, header: resp.Header, proto: resp.Proto, raw: string(body),
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		err = json.Unmarshal(body, &r)
	}
	return r, err
}

func getURL(t *testing.T, c *http.Client, rawURL string) response {
	t.Helper()
	req, err := http.NewRequest("GET", rawURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := doRequest(c, req)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// endpointURL is the URL of a tenant's token, devicecode or authorize endpoint at a base URL.
func endpointURL(base, tenant, endpoint string) string {
	return base + "/" + tenant + "/oauth2/v2.0/" + endpoint
}

// formRequest is a POST request with a form in its body.
func formRequest(rawURL string, f url.Values) *http.Request {
	req, err := http.NewRequest("POST", rawURL, strings.NewReader(f.Encode()))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return req
}

// tokenRequest is a request to a tenant's token endpoint at a base URL.
func tokenRequest(base, tenant string, f url.Values) *http.Request {
	return formRequest(endpointURL(base, tenant, "token"), f)
}

// post sends a form to one of a tenant's endpoints at s.URL. The response must be JSON.
func post(
	t *testing.T, c *http.Client, s *entratest.Server, tenant, endpoint string, f url.Values,
) response {
	t.Helper()
	got, err := doRequest(c, formRequest(endpointURL(s.URL, tenant, endpoint), f))
	if err != nil {
		t.Fatal(err)
	}
	decodeJSON(t, got.raw, &got)
	return got
}

// postToken sends a token request to the tenant with the ID tenantID.
func postToken(t *testing.T, c *http.Client, s *entratest.Server, f url.Values) response {
	t.Helper()
	return post(t, c, s, tenantID, "token", f)
}

// A refusalCase is a token request that Entra refuses with one AADSTS code.
type refusalCase struct {
	name       string
	tenant     string
	form       url.Values
	aadsts     int
	oauthError string
	status     int
}

// testRefusals sends the token requests and checks their refusals. No token may be issued.
func testRefusals(t *testing.T, s *entratest.Server, cases []refusalCase) {
	c := directClient(t, s)
	issued := s.Issued()
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			got := post(t, c, s, test.tenant, "token", test.form)
			if got.status != test.status || got.Error != test.oauthError ||
				!got.refusedWith(test.aadsts) {
				t.Error(got)
			}
			prefix := fmt.Sprintf("AADSTS%d: ", test.aadsts)
			if !strings.HasPrefix(got.Description, prefix) || hasPlaceholder(got.Description) {
				t.Errorf("description %q", got.Description)
			}
		})
	}
	if s.Issued() != issued {
		t.Errorf("%d tokens issued", s.Issued()-issued)
	}
}

// hasPlaceholder reports whether a description has a {placeholder} that was not filled in.
// Entra itself writes {EmailHidden}.
func hasPlaceholder(description string) bool {
	return strings.ContainsAny(strings.ReplaceAll(description, "{EmailHidden}", ""), "{}")
}
