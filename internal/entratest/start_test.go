package entratest_test

import (
	"net"
	"strings"
	"testing"
)

// The server closes at the end of its test, and requests that are held then fail.
func TestCloseEndsHeldRequests(t *testing.T) {
	var addr string
	failed := make(chan error)
	t.Run("open", func(t *testing.T) {
		s := newServer(t)
		addr = strings.TrimPrefix(s.URL, "https://")
		s.Hold()
		c := proxyClient(t, s)
		go func() {
			_, err := doRequest(c, tokenRequest(publicCloud, tenantID, assertionForm("x")))
			failed <- err
		}()
		if !s.WaitTokenRequests(1, testTimeout) {
			t.Fatal("the request did not arrive")
		}
	})
	if err := <-failed; err == nil {
		t.Error("the held request got a response")
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the server still listens")
	}
}
