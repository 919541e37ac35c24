package kube

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// benchExecInfo is what kubectl says with provideClusterInfo: a certificate is most of it.
var benchExecInfo = fmt.Sprintf(`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"cluster":{"server":"https://aks.example:443",`+
	`"certificate-authority-data":%q,"config":null},"interactive":false}}`, strings.Repeat("LS0t", 500))

func BenchmarkReadExecInfo(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadExecInfo(benchExecInfo); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteExecCredential(b *testing.B) {
	token, expires := strings.Repeat("t", 1700), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		if err := WriteExecCredential(io.Discard, versions[0], token, expires); err != nil {
			b.Fatal(err)
		}
	}
}
