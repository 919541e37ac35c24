package token

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// Another process's failure applies to this process only if both use the same proxy, the same CA
// file and the same discovery.
func TestRouteHashDependsOnProxyAndTLSSettings(t *testing.T) {
	withVariable := func(name, value string) Options {
		env := map[string]string{name: value}
		return Options{Getenv: func(name string) string { return env[name] }}
	}
	r := Request{}
	noDiscovery := Request{DisableInstanceDiscovery: true}
	seen := map[string]string{}
	for name, hash := range map[string]string{
		"plain":        routeHash(r, withVariable("", "")),
		"no discovery": routeHash(noDiscovery, withVariable("", "")),
		"proxy":        routeHash(r, withVariable("HTTPS_PROXY", "http://p")),
		"other proxy":  routeHash(r, withVariable("https_proxy", "http://p")),
		"CA file":      routeHash(r, withVariable("SSL_CERT_FILE", "/ca")),
	} {
		if other := seen[hash]; other != "" {
			t.Errorf("%s has the route of %s", name, other)
		}
		seen[hash] = name
	}
}

// hungStore is a Store whose calls block until release is closed, except those in working.
type hungStore struct {
	working string // names of calls, each followed by a space
	release chan struct{}
}

func (h hungStore) Get() ([]byte, error) {
	h.call("get")
	return nil, errors.New("no entry")
}

func (h hungStore) Put([]byte, string, time.Time) error {
	h.call("put")
	return nil
}

func (h hungStore) Lock(context.Context, bool) (func(), error) {
	h.call("lock")
	return func() { h.call("unlock") }, nil
}

func (h hungStore) call(name string) {
	if !strings.Contains(h.working, name+" ") {
		<-h.release
	}
}

// A login succeeds if the disk stops responding, whichever call hangs first.
func TestHungStoreDoesNotFailLogin(t *testing.T) {
	for _, working := range []string{"", "get ", "get lock ", "get lock put "} {
		t.Run(working, func(t *testing.T) {
			t.Parallel()
			store := hungStore{working, make(chan struct{})}
			defer close(store.release)
			source := &reuseTokenSource{
				Options: Options{}.withDefaults(),
				store:   &timeoutStore{store: store},
				exchange: func(context.Context, bool) (Token, error) {
					return tokenWith(time.Hour, time.Hour), nil
				},
			}
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			tok, err := source.token(ctx)
			if err != nil || tok.Value == "" || !source.store.timedOut {
				t.Errorf("%+v, %v, timed out: %v", tok, err, source.store.timedOut)
			}
		})
	}
}

// A lock holder that was stopped while its token was on the way comes late.
func TestLateTokenDoesNotReplaceNewerOne(t *testing.T) {
	now := time.Now()
	newer := Token{Value: "newer.b.c", Obtained: now, Expires: now.Add(time.Hour)}
	for name, test := range map[string]struct {
		stored Token
		want   string
	}{
		"newer":         {newer, newer.Value},
		"older":         {Token{Value: "older.b.c", Obtained: now.Add(-time.Hour), Expires: newer.Expires}, "own.b.c"},
		"expired":       {Token{Value: "short.b.c", Obtained: now, Expires: now}, "own.b.c"},
		"from a future": {Token{Value: "future.b.c", Obtained: now.Add(time.Hour), Expires: newer.Expires}, "own.b.c"},
	} {
		source := &reuseTokenSource{
			Options: Options{}.withDefaults(),
			store:   &timeoutStore{store: newMemoryStore()},
		}
		source.exchange = func(context.Context, bool) (Token, error) {
			source.save(cacheRecord{Token: test.stored}) // by another process, meanwhile
			return Token{Value: "own.b.c", Obtained: now.Add(-time.Second), Expires: newer.Expires}, nil
		}
		tok, err := source.token(t.Context())
		if err != nil || tok.Value != "own.b.c" {
			t.Errorf("%s: %v, %v", name, tok.Value, err)
		}
		if got := source.load().Token.Value; got != test.want {
			t.Errorf("%s: %s is stored, want %s", name, got, test.want)
		}
	}
}
