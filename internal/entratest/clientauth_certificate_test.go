package entratest_test

import (
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"maps"
	"net/url"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/golang-jwt/jwt/v5"
)

// registerCertificate registers testApp with a certificate and returns that and its key.
func registerCertificate(s *entratest.Server) (*x509.Certificate, *rsa.PrivateKey) {
	cert, key := entratest.ClientCertificate("a client")
	app := testApp(s)
	app.Certificates = []*x509.Certificate{cert}
	s.Register(app)
	return cert, key
}

func TestCertificate(t *testing.T) {
	for name, sendChain := range map[string]bool{"thumbprint": false, "x5c": true} {
		t.Run(name, func(t *testing.T) {
			s := newServerWithUsers(t)
			cert, key := registerCertificate(s)
			options := azidentity.ClientCertificateCredentialOptions{
				ClientOptions:            clientOptions(t, s),
				DisableInstanceDiscovery: true,
				SendCertificateChain:     sendChain,
			}
			certs := []*x509.Certificate{cert}
			cred, err := azidentity.NewClientCertificateCredential(
				tenantID, clientID, certs, key, &options)
			if err != nil {
				t.Fatal(err)
			}
			token, err := cred.GetToken(testContext(t), aksTokenOptions)
			if err != nil {
				t.Fatal(err)
			}
			wantClaims(t, verifiedClaims(t, s, token.Token), map[string]any{
				"appid": clientID, "appidacr": "2", "idtyp": "app",
			})
			wantOAuthRequests(t, s, "token "+tenantID+" client_assertion client_assertion_type"+
				" client_id client_info grant_type scope")
			if got := s.SeenAssertions(); len(got) != 1 {
				t.Errorf("assertions %q", got)
			}
		})
	}
}

// sha256Thumbprint returns the x5t#S256 header in MSAL for Go's encoding.
func sha256Thumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// sha1Thumbprint returns the x5t header in the standard encoding (RFC 7515), which older clients
// use.
func sha1Thumbprint(c *x509.Certificate) string {
	sum := sha1.Sum(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestCertificateRefuses(t *testing.T) {
	s := newServerWithUsers(t)
	cert, key := registerCertificate(s)
	other, otherKey := entratest.ClientCertificate("another client")
	now := time.Now()
	type member = map[string]any
	signedForm := func(
		method jwt.SigningMethod, key *rsa.PrivateKey, header, changed member,
	) url.Values {
		claims := jwt.MapClaims{
			"iss": clientID, "sub": clientID, "aud": endpointURL(s.URL, tenantID, "token"),
			"nbf": now.Unix() - 1, "exp": now.Unix() + 600, "jti": "one",
		}
		maps.Copy(claims, changed)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		token := jwt.NewWithClaims(method, claims)
		maps.Copy(token.Header, header)
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return assertionForm(signed)
	}
	ps256Form := func(header, changed member) url.Values {
		return signedForm(jwt.SigningMethodPS256, key, header, changed)
	}
	header := member{"x5t#S256": sha256Thumbprint(cert)}
	c := directClient(t, s)
	for name, f := range map[string]url.Values{
		"PS256":         ps256Form(header, nil),
		"RS256, x5t":    signedForm(jwt.SigningMethodRS256, key, member{"x5t": sha1Thumbprint(cert)}, nil),
		"domain":        ps256Form(header, member{"aud": endpointURL(s.URL, domain, "token")}),
		"issuer as aud": ps256Form(header, member{"aud": s.URL + "/" + tenantID + "/v2.0"}),
	} {
		if got := postToken(t, c, s, f); got.status != 200 {
			t.Errorf("%s: %v", name, got)
		}
	}
	testRefusals(t, s, []refusalCase{
		{"unknown certificate", tenantID, signedForm(jwt.SigningMethodPS256, otherKey, member{"x5t#S256": sha256Thumbprint(other)}, nil), 700027, "invalid_client", 401},
		{"signature", tenantID, signedForm(jwt.SigningMethodPS256, otherKey, header, nil), 700027, "invalid_client", 401},
		{"no thumbprint", tenantID, ps256Form(nil, nil), 700027, "invalid_client", 401},
		{"two thumbprints", tenantID, ps256Form(member{"x5t#S256": sha256Thumbprint(cert), "x5t": sha1Thumbprint(other)}, nil), 700027, "invalid_client", 401},
		{"another chain", tenantID, ps256Form(member{"x5t#S256": sha256Thumbprint(cert), "x5c": []string{base64.StdEncoding.EncodeToString(other.Raw)}}, nil), 700027, "invalid_client", 401},
		{"algorithm", tenantID, signedForm(jwt.SigningMethodPS384, key, header, nil), 50027, "invalid_request", 400},
		{"subject", tenantID, ps256Form(header, member{"sub": "someone"}), 700021, "invalid_client", 401},
		{"audience", tenantID, ps256Form(header, member{"aud": "https://login.example/" + tenantID + "/oauth2/v2.0/token"}), 700023, "invalid_client", 401},
		{"another tenant", tenantID, ps256Form(header, member{"aud": s.URL + "/" + otherTenant + "/oauth2/v2.0/token"}), 700023, "invalid_client", 401},
		{"expired", tenantID, ps256Form(header, member{"exp": now.Unix() - 1}), 700024, "invalid_client", 401},
		{"not yet valid", tenantID, ps256Form(header, member{"nbf": now.Unix() + 60}), 700024, "invalid_client", 401},
		{"no expiry", tenantID, ps256Form(header, member{"exp": nil}), 50027, "invalid_request", 400},
		{"no jti", tenantID, ps256Form(header, member{"jti": nil}), 50027, "invalid_request", 400},
	})
}
