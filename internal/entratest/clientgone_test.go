package entratest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"testing"
	"time"
)

// A client that is killed in the middle of a request is not one that sends what no client does.
func TestKilledClientIsNotReported(t *testing.T) {
	s := New(t)
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c, err := tls.Dial("tcp", s.URL[len("https://"):], &tls.Config{RootCAs: pool, ServerName: "login.microsoftonline.com"})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /contoso.example/oauth2/v2.0/token HTTP/1.1\r\nHost: login.microsoftonline.com\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant_type=")
	if !s.WaitTokenRequests(1, time.Minute) {
		t.Fatal("the request did not come")
	}
	c.NetConn().Close()
}
