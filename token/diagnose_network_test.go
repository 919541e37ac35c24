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

// Microsoft's authorities have certificates from a few CAs. Another CA means that something on the
// way intercepts TLS.
func TestForeignRootCAIsWarning(t *testing.T) {
	leaf := &x509.Certificate{
		DNSNames: []string{"login.microsoftonline.com"},
		Issuer:   pkix.Name{CommonName: "an intermediate"},
	}
	for name, c := range map[string]struct {
		authority, organization string
		want                    Status
	}{
		"CA of Azure":                    {"https://login.microsoftonline.com/", "DigiCert Inc", StatusOK},
		"CA of a company":                {"https://login.microsoftonline.com/", "Contoso", StatusWarning},
		"CA without a name":              {"https://login.microsoftonline.us/", "", StatusWarning},
		"CA of a company, private cloud": {"https://private.example/", "Contoso", StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			ca := pkix.Name{Organization: []string{c.organization}}
			root := &x509.Certificate{Subject: ca, Issuer: ca}
			d := &Diagnosis{
				options: Options{Getenv: func(string) string { return "" }},
				client:  entra.Client{Authority: c.authority},
			}
			finding := d.tlsFinding(&tls.ConnectionState{
				Version:          tls.VersionTLS13,
				PeerCertificates: []*x509.Certificate{leaf},
				VerifiedChains:   [][]*x509.Certificate{{leaf, root}},
			})
			namesCA := strings.Contains(finding.Text, `signed by "`+c.organization)
			if finding.Status != c.want || c.organization != "" && !namesCA {
				t.Errorf("%+v", finding)
			}
		})
	}
}

func TestClockSkewIsReported(t *testing.T) {
	server := time.Unix(1893456000, 0)
	date := server.UTC().Format(http.TimeFormat)
	resp := &http.Response{Header: http.Header{"Date": {date}}}
	for ahead, want := range map[time.Duration]Status{
		0:                 StatusOK,
		-20 * time.Second: StatusOK,
		time.Minute:       StatusWarning,
		-time.Minute:      StatusWarning,
		6 * time.Minute:   StatusError,
		-24 * time.Hour:   StatusError,
	} {
		if finding := clockFinding(resp, server.Add(ahead)); finding.Status != want {
			t.Errorf("%s: %+v", ahead, finding)
		}
	}
	if finding := clockFinding(&http.Response{}, server); finding.Status != StatusSkipped {
		t.Errorf("no date: %+v", finding)
	}
}
