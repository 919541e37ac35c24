// Entratest runs the emulated Entra ID of package entratest, for the demo and for trying akslogin
// by hand. It is a development tool and must not be used as an identity provider.
//
// It prints the environment of a workload as lines for a POSIX shell. They make programs of that
// shell reach the emulator instead of Entra ID and IMDS, so use a shell of its own:
//
//	go run ./internal/entratest/cmd/entratest >/tmp/entra.env &
//	until [ -s /tmp/entra.env ]; do sleep 0.1; done; . /tmp/entra.env
//	akslogin get-token --login workloadidentity --server-id 6dae42f8-4368-4678-94ff-3960e28e3630
//	curl -d '{"token_lifetime":"2s","latency":"200ms"}' "$ENTRATEST_CONTROL/settings"
//	curl -d '{"aadsts":700213,"count":10}' "$ENTRATEST_CONTROL/failures"
//	curl "$ENTRATEST_CONTROL/requests"
//	curl -X POST "$ENTRATEST_CONTROL/shutdown"
//
// All lines are printed by one write, so a file that is not empty is complete. akslogin caches: run
// "akslogin cache clear" before a login that is to reach the emulator again.
//
// The control listener at $ENTRATEST_CONTROL answers programs on this machine only. Bodies are JSON
// and optional; a value that is not valid is refused with status 400, and nothing is changed.
//
//	GET    /settings    the settings made so far
//	POST   /settings    settings by name, all values strings: token_lifetime, refresh_in, delay,
//	                    latency, round_trip, device_code_lifetime, device_poll_interval, sni,
//	                    alpn, proxy_down, proxy_fault, hold
//	GET    /requests    the requests, connections and issued tokens since the last reset
//	DELETE /requests    reset these
//	GET    /unexpected  the requests that a well-behaved client does not send
//	POST   /tokens      a federated token as plain text: issuer, subject, audience, lifetime,
//	                    forged
//	POST   /failures    the failure of the next count requests: aadsts, status, body, retry_after,
//	                    redirect, break (connection, body), hang, conn_fault (needs the setting
//	                    "alpn":"http/1.1"); of the token endpoint, or of "endpoint":"imds"
//	DELETE /failures    cancel all failures
//	POST   /apps, /users, /identities, /clusters
//	                    add an [entratest.App], User, ManagedIdentity or Cluster
//	GET    /devices     the user codes of pending device code logins
//	POST   /devices     approve a user_code as user, or decline it without a user
//	POST   /shutdown    stop the emulator
//
// Unexpected requests are printed on standard error when they arrive. SIGINT, SIGTERM and /shutdown
// stop the program; it then exits with status 1 if there was an unexpected request.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

// shutdownTimeout bounds the wait for responses of the control listener.
const shutdownTimeout = 5 * time.Second

func main() {
	lifetime := flag.Duration("lifetime", time.Hour, "lifetime of the workload's federated token")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		fmt.Fprintf(os.Stderr, "entratest: warning: Go does not read SSL_CERT_FILE on %s, "+
			"so akslogin will not trust the emulator\n", runtime.GOOS)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	tb := &controlTB{ProgramTB: &entratest.ProgramTB{Name: "entratest"}}
	err := run(ctx, stop, tb, *lifetime, os.Stdout)
	if unexpected := tb.Close(); err == nil && unexpected != nil {
		err = errors.New("there were unexpected requests")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "entratest: error:", err)
		os.Exit(1)
	}
}

// run starts the emulator, writes the workload's environment to out, and serves until ctx is done.
// The control listener's /shutdown calls stop.
func run(
	ctx context.Context, stop func(), tb *controlTB, lifetime time.Duration, out io.Writer,
) error {
	server := entratest.New(tb)
	workload := server.NewWorkload(lifetime)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c := newControl(server, tb, workload.Subject, listener.Addr().String(), stop)
	tb.serving.Store(true)
	httpServer := &http.Server{Handler: c.handler()}
	go httpServer.Serve(listener) // returns ErrServerClosed after Shutdown
	if err := printEnv(out, server, workload, "http://"+c.host); err != nil {
		return err
	}
	<-ctx.Done()
	deadline, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	return httpServer.Shutdown(deadline) // after the response to /shutdown was sent
}

// printEnv writes shell commands that set the workload's environment, with a single write.
func printEnv(out io.Writer, s *entratest.Server, w *entratest.Workload, controlURL string) error {
	var b strings.Builder
	for _, v := range []struct{ name, value string }{
		{"HTTPS_PROXY", s.ProxyURL},
		{"SSL_CERT_FILE", s.CAFile},
		{"AZURE_POD_IDENTITY_AUTHORITY_HOST", s.IMDSURL},
		{"AZURE_TENANT_ID", w.TenantID},
		{"AZURE_CLIENT_ID", w.ClientID},
		{"AZURE_FEDERATED_TOKEN_FILE", w.TokenFile},
		{"ENTRATEST_CONTROL", controlURL},
	} {
		fmt.Fprintf(&b, "export %s='%s'\n", v.name, strings.ReplaceAll(v.value, "'", `'\''`))
	}
	b.WriteString("unset NO_PROXY no_proxy\n") // either would bypass the emulator
	_, err := io.WriteString(out, b.String())
	return err
}
