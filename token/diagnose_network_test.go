package token

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// Microsoft's authorities have their certificates from few; whoever else signs for them opens TLS.
func TestForeignRootCAIsWarning(t *testing.T) {
	leaf := &x509.Certificate{DNSNames: []string{"login.microsoftonline.com"}, Issuer: pkix.Name{CommonName: "an intermediate"}}
	for name, test := range map[string]struct {
		authority, organization string
		want                    Status
	}{
		"Azure's":              {"https://login.microsoftonline.com/", "DigiCert Inc", StatusOK},
		"a company's":          {"https://login.microsoftonline.com/", "Contoso", StatusWarning},
		"nobody's":             {"https://login.microsoftonline.us/", "", StatusWarning},
		"of a private cloud's": {"https://private.example/", "Contoso", StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			root := &x509.Certificate{Subject: pkix.Name{Organization: []string{test.organization}}, Issuer: pkix.Name{Organization: []string{test.organization}}}
			d := &Diagnosis{options: Options{Getenv: func(string) string { return "" }}, client: entra.Client{Authority: test.authority}}
			found := d.tlsFinding(&tls.ConnectionState{Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf, root}}})
			if found.Status != test.want || !strings.Contains(found.Text, `signed by "`+test.organization) && test.organization != "" {
				t.Errorf("%+v", found)
			}
		})
	}
}

func TestClockSkewIsReported(t *testing.T) {
	there := time.Unix(1893456000, 0)
	resp := &http.Response{Header: http.Header{"Date": {there.UTC().Format(http.TimeFormat)}}}
	for ahead, want := range map[time.Duration]Status{0: StatusOK, -20 * time.Second: StatusOK, time.Minute: StatusWarning, -time.Minute: StatusWarning, 6 * time.Minute: StatusWrong, -24 * time.Hour: StatusWrong} {
		if found := clockFinding(resp, there.Add(ahead)); found.Status != want {
			t.Errorf("%s: %+v", ahead, found)
		}
	}
	if found := clockFinding(&http.Response{}, there); found.Status != StatusSkipped {
		t.Errorf("no date: %+v", found)
	}
}
