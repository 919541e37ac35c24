package token

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// Another way there, or another flag that decides how it ends, makes another process's failure none
// of this one's.
func TestRouteHashDependsOnProxyAndTLSSettings(t *testing.T) {
	getenv := func(name, value string) Options {
		return Options{Getenv: func(n string) string { return map[string]string{name: value}[n] }}
	}
	seen := map[string]string{}
	for name, r := range map[string]string{
		"plain": routeHash(Request{}, getenv("", "")), "discovery": routeHash(Request{DisableInstanceDiscovery: true}, getenv("", "")),
		"proxy": routeHash(Request{}, getenv("HTTPS_PROXY", "http://p")), "other proxy": routeHash(Request{}, getenv("https_proxy", "http://p")), "CA": routeHash(Request{}, getenv("SSL_CERT_FILE", "/ca")),
	} {
		if other := seen[r]; other != "" {
			t.Errorf("%s is the way of %s", name, other)
		}
		seen[r] = name
	}
}

// hungStore answers nothing until it is let go, but for what is named.
type hungStore struct {
	answeredCalls string
	release       chan struct{}
}

func (h hungStore) Get() ([]byte, error) { h.hang("get"); return nil, errors.New("nothing here") }

func (h hungStore) Put([]byte, string, time.Time) error { h.hang("put"); return nil }

func (h hungStore) Lock(context.Context, bool) (func(), error) {
	h.hang("lock")
	return func() { h.hang("unlock") }, nil
}

func (h hungStore) hang(call string) {
	if !strings.Contains(h.answeredCalls, call+" ") {
		<-h.release
	}
}

// A login outlives a disk that stops answering, whenever it does.
func TestHungStoreDoesNotFailLogin(t *testing.T) {
	for _, answers := range []string{"", "get ", "get lock ", "get lock put "} {
		t.Run(answers, func(t *testing.T) {
			t.Parallel()
			store := hungStore{answers, make(chan struct{})}
			defer close(store.release)
			u := &reuseTokenSource{
				Options: Options{}.withDefaults(), store: &timeoutStore{store: store},
				exchange: func(context.Context, bool) (Token, error) { return tokenWith(time.Hour, time.Hour), nil },
			}
			ctx, done := context.WithTimeout(t.Context(), 8*time.Second)
			defer done()
			if tok, err := u.token(ctx); err != nil || tok.Value == "" || !u.store.timedOut {
				t.Errorf("%+v, %v, hung %v", tok, err, u.store.timedOut)
			}
		})
	}
}
