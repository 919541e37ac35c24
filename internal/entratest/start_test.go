package entratest_test

import (
	"net"
	"strings"
	"testing"
)

// After its test a server is gone, with whatever still waited at it.
func TestCloseEndsHeldRequests(t *testing.T) {
	var addr string
	failed := make(chan error)
	t.Run("open", func(t *testing.T) {
		s := newServer(t)
		addr = strings.TrimPrefix(s.URL, "https://")
		s.Hold()
		c := newClient(t, s, true)
		go func() {
			_, err := doRequest(c, tokenRequest("https://login.microsoftonline.com", tenantID, assertionForm("x")))
			failed <- err
		}()
		if !s.WaitTokenRequests(1, testTimeout) {
			t.Fatal("the request did not arrive")
		}
	})
	if err := <-failed; err == nil {
		t.Error("the held request was answered")
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the server still listens")
	}
}
