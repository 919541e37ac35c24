package entratest_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/golang-jwt/jwt/v5"
)

func TestAssertionsAreUnique(t *testing.T) {
	s := newServer(t)
	c := entratest.Claims{Subject: subject, Expires: time.Now().Add(time.Minute)}
	if first, second := s.Assertion(c), s.Assertion(c); first == second {
		t.Error("two assertions are the same")
	}
}

func TestFederatedAssertionRefusals(t *testing.T) {
	s := newServer(t)
	c := newClient(t, s, false)
	now := time.Now()
	good := entratest.Claims{Subject: subject}
	unsigned := func() string {
		token := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"iss": s.Issuer, "sub": subject, "aud": "api://AzureADTokenExchange", "iat": 1, "exp": now.Unix() + 60})
		signed, err := token.SignedString(jwt.UnsafeAllowNoneSignatureType)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}()
	with := func(name, value string) url.Values {
		f := assertionForm(s.Assertion(good))
		f.Set(name, value)
		if value == "" {
			f.Del(name)
		}
		return f
	}
	for _, test := range []struct {
		name   string
		tenant string
		form   url.Values
		code   int
		error  string
		status int
		text   string
	}{
		{"tenant", "not-there.example", with("", ""), 90002, "invalid_request", 400, "Tenant 'not-there.example' not found."},
		{"shared tenant", "organizations", with("", ""), 50059, "invalid_request", 400, "No tenant-identifying information"},
		{"client", tenantID, with("client_id", "someone"), 700016, "unauthorized_client", 400, "Application with identifier 'someone' was not found in the directory 'contoso.onmicrosoft.com'."},
		{"no client", tenantID, with("client_id", ""), 900144, "invalid_request", 400, "'client_id'"},
		{"no assertion", tenantID, with("client_assertion", ""), 7000218, "invalid_client", 401, "'client_assertion' or 'client_secret'"},
		{"garbage", tenantID, assertionForm("garbage"), 50027, "invalid_request", 400, "JWT token is invalid or malformed."},
		{"newline", tenantID, assertionForm(s.Assertion(good) + "\n"), 50027, "invalid_request", 400, "malformed"},
		{"alg none", tenantID, assertionForm(unsigned), 50027, "invalid_request", 400, "malformed"},
		{"issuer", tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject, Issuer: strings.TrimSuffix(s.Issuer, "/")})), 700211, "invalid_client", 401, "presented assertion issuer '" + strings.TrimSuffix(s.Issuer, "/") + "'. Check your"},
		{"subject", tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject + "s"})), 700213, "invalid_client", 401, "presented assertion subject '" + subject + "s'. Check your"},
		{"subject in capitals", tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: strings.ToUpper(subject)})), 7002138, "invalid_client", 401, "presented assertion subject '" + strings.ToUpper(subject) + "'. The subject matches with case-insensitive"},
		{"audience", tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject, Audience: "https://kubernetes.default.svc"})), 700212, "invalid_client", 401, "presented assertion audience 'https://kubernetes.default.svc'. Check your"},
		{"signature", tenantID, assertionForm(s.ForgedAssertion(good)), 700027, "invalid_client", 401, "The provided signature value did not match"},
		{"expired", tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject, Expires: now.Add(-time.Second)})), 700024, "invalid_client", 401, "expiry time of assertion " + now.Add(-time.Second).UTC().Format("2006-01-02T15:04:05.0000000Z")[:19]},
		{"too early", tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject, NotBefore: now.Add(time.Minute)})), 700024, "invalid_client", 401, "assertion valid from " + now.Add(time.Minute).UTC().Format("2006-01-02T15:04:05")},
		{"too long a life", tenantID, assertionForm(s.Assertion(entratest.Claims{Subject: subject, Expires: now.Add(26 * time.Hour)})), 70023, "invalid_request", 400, "less than or equal to 1.01:00:00. Token issued at 1"},
		{"no scope", tenantID, with("scope", ""), 90014, "invalid_request", 400, "The required field 'scope' is missing"},
		{"no resource", tenantID, with("scope", "openid profile"), 70011, "invalid_scope", 400, "The scope openid profile is not valid."},
		{"not default", tenantID, with("scope", "api/user_impersonation"), 1002012, "invalid_scope", 400, "The provided value for scope api/user_impersonation is not valid."},
		{"resource", tenantID, with("scope", "not-there/.default"), 500011, "invalid_resource", 400, "The resource principal named not-there was not found in the tenant named contoso.onmicrosoft.com."},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := tokenRequest(s.URL, test.tenant, test.form)
			req.Header.Set("client-request-id", "the-correlation")
			got, err := doRequest(c, req)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got.Codes, []int{test.code}) || got.Error != test.error || got.status != test.status {
				t.Errorf("%d %s", got.status, got.raw)
			}
			want := fmt.Sprintf("AADSTS%d: ", test.code)
			if !strings.HasPrefix(got.Description, want) || !strings.Contains(got.Description, test.text) {
				t.Errorf("description %q, want %q … %q", got.Description, want, test.text)
			}
			end := fmt.Sprintf(" Trace ID: %s Correlation ID: the-correlation Timestamp: %s", got.TraceID, got.Timestamp)
			if !strings.HasSuffix(got.Description, end) || got.CorrelationID != "the-correlation" {
				t.Errorf("description %q does not end with %q", got.Description, end)
			}
			if got.header.Get("x-ms-request-id") != got.TraceID || !strings.HasSuffix(got.URI, fmt.Sprint("/error?code=", test.code)) {
				t.Errorf("x-ms-request-id %q, error_uri %q", got.header.Get("x-ms-request-id"), got.URI)
			}
			if _, err := time.Parse("2006-01-02 15:04:05Z", got.Timestamp); err != nil {
				t.Error(err)
			}
		})
	}
	if s.Issued() != 0 {
		t.Errorf("%d tokens issued", s.Issued())
	}
}

// Several federated credentials: one must fit as a whole.
func TestOneFederatedCredentialMustMatchWhole(t *testing.T) {
	s := entratest.New(t)
	a := app(s)
	a.FederatedCredentials = []entratest.FederatedCredential{
		{Issuer: s.Issuer, Subject: "one"},
		{Issuer: "https://oidc.example/cluster-b/", Subject: "two"},
	}
	s.Register(a)
	c := newClient(t, s, false)
	if got := exchange(t, s, c, assertionForm(s.Assertion(entratest.Claims{Subject: "one"}))); got.status != 200 {
		t.Error(got.raw)
	}
	if got := exchange(t, s, c, assertionForm(s.Assertion(entratest.Claims{Subject: "two"}))); !slices.Equal(got.Codes, []int{700213}) {
		t.Error(got.raw)
	}
}
