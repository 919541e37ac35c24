package entratest_test

import (
	"fmt"
	"net/url"
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

// An assertionRefusal is a token request that Entra refuses, and a part of its description.
type assertionRefusal struct {
	refusalCase
	text string
}

// unsignedAssertion returns a federated token with the algorithm "none".
func unsignedAssertion(t *testing.T, s *entratest.Server) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{
		"iss": s.Issuer, "sub": subject, "aud": "api://AzureADTokenExchange",
		"iat": 1, "exp": time.Now().Unix() + 60,
	})
	signed, err := token.SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// assertionRefusals returns token requests with a client assertion, each wrong in one way.
func assertionRefusals(t *testing.T, s *entratest.Server) []assertionRefusal {
	const seconds = "2006-01-02T15:04:05"
	now := time.Now()
	claims := entratest.Claims{Subject: subject}
	valid := validForm(s)
	validWith := func(name, value string) url.Values { return withValues(valid, name, value) }
	signedForm := func(c entratest.Claims) url.Values { return assertionForm(s.Assertion(c)) }
	issuer := strings.TrimSuffix(s.Issuer, "/")
	return []assertionRefusal{
		{refusalCase{"unknown tenant", "not-there.example", valid, 90002, "invalid_request", 400}, "Tenant 'not-there.example' not found."},
		{refusalCase{"shared tenant", "organizations", valid, 50059, "invalid_request", 400}, "No tenant-identifying information"},
		{refusalCase{"unknown client", tenantID, validWith("client_id", "someone"), 700016, "unauthorized_client", 400}, "Application with identifier 'someone' was not found in the directory 'contoso.onmicrosoft.com'."},
		{refusalCase{"no client", tenantID, validWith("client_id", ""), 900144, "invalid_request", 400}, "'client_id'"},
		{refusalCase{"no assertion", tenantID, validWith("client_assertion", ""), 7000218, "invalid_client", 401}, "'client_assertion' or 'client_secret'"},
		{refusalCase{"malformed", tenantID, assertionForm("garbage"), 50027, "invalid_request", 400}, "JWT token is invalid or malformed."},
		{refusalCase{"newline", tenantID, assertionForm(s.Assertion(claims) + "\n"), 50027, "invalid_request", 400}, "malformed"},
		{refusalCase{"alg none", tenantID, assertionForm(unsignedAssertion(t, s)), 50027, "invalid_request", 400}, "malformed"},
		{refusalCase{"issuer", tenantID, signedForm(entratest.Claims{Subject: subject, Issuer: issuer}), 700211, "invalid_client", 401}, "presented assertion issuer '" + issuer + "'. Check your"},
		{refusalCase{"subject", tenantID, signedForm(entratest.Claims{Subject: subject + "s"}), 700213, "invalid_client", 401}, "presented assertion subject '" + subject + "s'. Check your"},
		{refusalCase{"subject in capitals", tenantID, signedForm(entratest.Claims{Subject: strings.ToUpper(subject)}), 7002138, "invalid_client", 401}, "presented assertion subject '" + strings.ToUpper(subject) + "'. The subject matches with case-insensitive"},
		{refusalCase{"audience", tenantID, signedForm(entratest.Claims{Subject: subject, Audience: "https://kubernetes.default.svc"}), 700212, "invalid_client", 401}, "presented assertion audience 'https://kubernetes.default.svc'. Check your"},
		{refusalCase{"signature", tenantID, assertionForm(s.ForgedAssertion(claims)), 700027, "invalid_client", 401}, "The provided signature value did not match"},
		{refusalCase{"expired", tenantID, signedForm(entratest.Claims{Subject: subject, Expires: now.Add(-time.Second)}), 700024, "invalid_client", 401}, "expiry time of assertion " + now.Add(-time.Second).UTC().Format(seconds)},
		{refusalCase{"not yet valid", tenantID, signedForm(entratest.Claims{Subject: subject, NotBefore: now.Add(time.Minute)}), 700024, "invalid_client", 401}, "assertion valid from " + now.Add(time.Minute).UTC().Format(seconds)},
		{refusalCase{"lifetime too long", tenantID, signedForm(entratest.Claims{Subject: subject, Expires: now.Add(26 * time.Hour)}), 70023, "invalid_request", 400}, "less than or equal to 1.01:00:00. Token issued at 1"},
		{refusalCase{"no scope", tenantID, validWith("scope", ""), 90014, "invalid_request", 400}, "The required field 'scope' is missing"},
		{refusalCase{"no resource in scope", tenantID, validWith("scope", "openid profile"), 70011, "invalid_scope", 400}, "The scope openid profile is not valid."},
		{refusalCase{"delegated scope", tenantID, validWith("scope", "api/user_impersonation"), 1002012, "invalid_scope", 400}, "The provided value for scope api/user_impersonation is not valid."},
		{refusalCase{"unknown resource", tenantID, validWith("scope", "not-there/.default"), 500011, "invalid_resource", 400}, "The resource principal named not-there was not found in the tenant named contoso.onmicrosoft.com."},
	}
}

func TestFederatedAssertionRefusals(t *testing.T) {
	s := newServer(t)
	c := directClient(t, s)
	for _, test := range assertionRefusals(t, s) {
		t.Run(test.name, func(t *testing.T) {
			req := tokenRequest(s.URL, test.tenant, test.form)
			req.Header.Set("client-request-id", "the-correlation")
			got, err := doRequest(c, req)
			if err != nil {
				t.Fatal(err)
			}
			if !got.refusedWith(test.aadsts) || got.Error != test.oauthError ||
				got.status != test.status {
				t.Error(got)
			}
			prefix := fmt.Sprintf("AADSTS%d: ", test.aadsts)
			suffix := fmt.Sprintf(" Trace ID: %s Correlation ID: the-correlation Timestamp: %s",
				got.TraceID, got.Timestamp)
			if !strings.HasPrefix(got.Description, prefix) ||
				!strings.Contains(got.Description, test.text) ||
				!strings.HasSuffix(got.Description, suffix) {
				t.Errorf("description %q, want %q … %q … %q",
					got.Description, prefix, test.text, suffix)
			}
			if got.CorrelationID != "the-correlation" {
				t.Errorf("correlation ID %q", got.CorrelationID)
			}
			requestID := got.header.Get("x-ms-request-id")
			uriSuffix := fmt.Sprint("/error?code=", test.aadsts)
			if requestID != got.TraceID || !strings.HasSuffix(got.URI, uriSuffix) {
				t.Errorf("x-ms-request-id %q, error_uri %q", requestID, got.URI)
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

// The issuer and the subject of an assertion must match the same federated credential.
func TestOneFederatedCredentialMustMatchWhole(t *testing.T) {
	s := entratest.New(t)
	app := testApp(s)
	app.FederatedCredentials = []entratest.FederatedCredential{
		{Issuer: s.Issuer, Subject: "one"},
		{Issuer: "https://oidc.example/cluster-b/", Subject: "two"},
	}
	s.Register(app)
	c := directClient(t, s)
	one := assertionForm(s.Assertion(entratest.Claims{Subject: "one"}))
	if got := postToken(t, c, s, one); got.status != 200 {
		t.Error(got)
	}
	two := assertionForm(s.Assertion(entratest.Claims{Subject: "two"}))
	if got := postToken(t, c, s, two); !got.refusedWith(700213) {
		t.Error(got)
	}
}
