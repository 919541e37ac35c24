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

// registerCertificate is an app that trusts a certificate.
func registerCertificate(s *entratest.Server) (*x509.Certificate, *rsa.PrivateKey) {
	cert, key := entratest.ClientCertificate("a client")
	a := app(s)
	a.Certificates = []*x509.Certificate{cert}
	s.Register(a)
	return cert, key
}

func TestCertificate(t *testing.T) {
	for name, chain := range map[string]bool{"thumbprint": false, "x5c": true} {
		t.Run(name, func(t *testing.T) {
			s := newServerWithUsers(t)
			cert, key := registerCertificate(s)
			cred, err := azidentity.NewClientCertificateCredential(tenantID, clientID, []*x509.Certificate{cert}, key, &azidentity.ClientCertificateCredentialOptions{
				ClientOptions: clientOptions(t, s), DisableInstanceDiscovery: true, SendCertificateChain: chain,
			})
			if err != nil {
				t.Fatal(err)
			}
			token, err := cred.GetToken(testContext(t), aksTokenOptions)
			if err != nil {
				t.Fatal(err)
			}
			wantClaims(t, verifiedClaims(t, s, token.Token), map[string]any{"appid": clientID, "appidacr": "2", "idtyp": "app"})
			wantOAuthRequests(t, s, "token "+tenantID+" client_assertion client_assertion_type client_id client_info grant_type scope")
			if got := s.SeenAssertions(); len(got) != 1 {
				t.Errorf("seen %q", got)
			}
		})
	}
}

func TestCertificateRefuses(t *testing.T) {
	s := newServerWithUsers(t)
	cert, key := registerCertificate(s)
	other, otherKey := entratest.ClientCertificate("another client")
	now := time.Now()
	sha256Of := func(c *x509.Certificate) string {
		sum := sha256.Sum256(c.Raw)
		return base64.StdEncoding.EncodeToString(sum[:]) // as MSAL for Go writes it
	}
	sha1Of := func(c *x509.Certificate) string {
		sum := sha1.Sum(c.Raw)
		return base64.RawURLEncoding.EncodeToString(sum[:]) // as the standard and older clients write it
	}
	type member = map[string]any
	assert := func(method jwt.SigningMethod, key *rsa.PrivateKey, header, claims member) url.Values {
		token := jwt.NewWithClaims(method, jwt.MapClaims{
			"iss": clientID, "sub": clientID, "aud": s.URL + "/" + tenantID + "/oauth2/v2.0/token", "nbf": now.Unix() - 1, "exp": now.Unix() + 600, "jti": "one",
		})
		maps.Copy(token.Claims.(jwt.MapClaims), claims)
		maps.DeleteFunc(token.Claims.(jwt.MapClaims), func(_ string, v any) bool { return v == nil })
		maps.Copy(token.Header, header)
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return assertionForm(signed)
	}
	named := member{"x5t#S256": sha256Of(cert)}
	c := newClient(t, s, false)
	for name, f := range map[string]url.Values{
		"PS256":         assert(jwt.SigningMethodPS256, key, named, nil),
		"RS256, x5t":    assert(jwt.SigningMethodRS256, key, member{"x5t": sha1Of(cert)}, nil),
		"domain":        assert(jwt.SigningMethodPS256, key, named, member{"aud": s.URL + "/" + domain + "/oauth2/v2.0/token"}),
		"issuer as aud": assert(jwt.SigningMethodPS256, key, named, member{"aud": s.URL + "/" + tenantID + "/v2.0"}),
	} {
		if status, got := post(t, c, s, tenantID, "token", f); status != 200 {
			t.Errorf("%s: %d %+v", name, status, got)
		}
	}
	ps := func(header, claims member) url.Values { return assert(jwt.SigningMethodPS256, key, header, claims) }
	testRefusals(t, s, []refusalCase{
		{"unknown", tenantID, assert(jwt.SigningMethodPS256, otherKey, member{"x5t#S256": sha256Of(other)}, nil), 700027, "invalid_client", 401},
		{"signature", tenantID, assert(jwt.SigningMethodPS256, otherKey, named, nil), 700027, "invalid_client", 401},
		{"no name", tenantID, ps(nil, nil), 700027, "invalid_client", 401},
		{"two names", tenantID, ps(member{"x5t#S256": sha256Of(cert), "x5t": sha1Of(other)}, nil), 700027, "invalid_client", 401},
		{"another chain", tenantID, ps(member{"x5t#S256": sha256Of(cert), "x5c": []string{base64.StdEncoding.EncodeToString(other.Raw)}}, nil), 700027, "invalid_client", 401},
		{"algorithm", tenantID, assert(jwt.SigningMethodPS384, key, named, nil), 50027, "invalid_request", 400},
		{"subject", tenantID, ps(named, member{"sub": "someone"}), 700021, "invalid_client", 401},
		{"audience", tenantID, ps(named, member{"aud": "https://login.example/" + tenantID + "/oauth2/v2.0/token"}), 700023, "invalid_client", 401},
		{"another tenant", tenantID, ps(named, member{"aud": s.URL + "/" + otherTenant + "/oauth2/v2.0/token"}), 700023, "invalid_client", 401},
		{"expired", tenantID, ps(named, member{"exp": now.Unix() - 1}), 700024, "invalid_client", 401},
		{"too early", tenantID, ps(named, member{"nbf": now.Unix() + 60}), 700024, "invalid_client", 401},
		{"no end", tenantID, ps(named, member{"exp": nil}), 50027, "invalid_request", 400},
		{"no ID", tenantID, ps(named, member{"jti": nil}), 50027, "invalid_request", 400},
	})
}
