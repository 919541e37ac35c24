package main

import (
	"crypto/tls"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/akslogin/akslogin/internal/entratest"
)

func wireFrom(ts *testscript.TestScript, name string) entratest.Wire {
	wire := entratest.Wires[name]
	if wire == nil {
		ts.Fatalf("no wire %q", name)
	}
	return wire
}

// speak says how the emulator's connections are: entra speak [alpn=http/1.1] [tls=1.1] [from=-2h until=-1h]. What is not given is as usual.
func speak(ts *testscript.TestScript, s *entratest.Server, args []string) {
	versions := map[string]uint16{"1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}
	s.SetProtocol("")
	s.SetTLSVersion(0)
	var from, until time.Time
	moment := func(into *time.Time) func(string) {
		return func(v string) { *into = time.Now().Add(argDuration(ts, []string{v})) }
	}
	pairs(ts, args, map[string]func(string){
		"alpn": s.SetProtocol, "tls": func(v string) { s.SetTLSVersion(versions[v]) }, "from": moment(&from), "until": moment(&until),
	})
	s.SetCertificateLife(from, until)
}

// proxy says how the emulator's proxy is: entra proxy [user=NAME password=WORD] [wire=NAME] [opens=FILE]. With opens it opens TLS, and the CA
// is in that file. What is not given is as usual, but for opens, which stays.
func proxy(ts *testscript.TestScript, s *entratest.Server, args []string) {
	var user, word string
	s.SetProxyWire(nil)
	pairs(ts, args, map[string]func(string){
		"user": func(v string) { user = v }, "password": func(v string) { word = v },
		"wire": func(v string) { s.SetProxyWire(wireFrom(ts, v)) },
		"opens": func(v string) {
			ca, err := os.ReadFile(s.OpenTLS())
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs(v), ca, 0o600))
		},
	})
	s.SetProxyPassword(user, word)
}
