package execcredential

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// sampleInfo is the value that kubectl passes with provideClusterInfo. Most of it is a certificate.
var sampleInfo = fmt.Sprintf(`{"kind":"ExecCredential",`+
	`"apiVersion":"client.authentication.k8s.io/v1",`+
	`"spec":{"cluster":{"server":"https://aks.example:443",`+
	`"certificate-authority-data":%q,"config":null},"interactive":false}}`,
	strings.Repeat("LS0t", 500))

func BenchmarkParseInfo(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseInfo(sampleInfo); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	token, expires := strings.Repeat("t", 1700), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		if err := Write(io.Discard, supportedVersions[0], token, expires); err != nil {
			b.Fatal(err)
		}
	}
}
