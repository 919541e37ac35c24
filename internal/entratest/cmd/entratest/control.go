package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

// A control serves the control listener: HTTP in place of the methods of [entratest.Server].
type control struct {
	server  *entratest.Server
	tb      *controlTB
	subject string // the default subject of POST /tokens
	host    string // the listener's address, the only Host that is served
	stop    func()

	mu       sync.Mutex        // serializes POST /settings
	settings map[string]string // what GET /settings returns
}

func newControl(
	s *entratest.Server, tb *controlTB, subject, host string, stop func(),
) *control {
	return &control{
		server: s, tb: tb, subject: subject, host: host, stop: stop,
		settings: map[string]string{},
	}
}

// handler refuses requests from web pages: those carry an Origin, or a Host that DNS rebinding
// chose.
func (c *control) handler() http.Handler {
	mux := c.routes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != c.host || r.Header.Get("Origin") != "" {
			http.Error(w, "only programs on this machine may use it", http.StatusForbidden)
			return
		}
		defer func() {
			switch e := recover().(type) {
			case nil:
			case badRequest:
				http.Error(w, string(e), http.StatusBadRequest)
			default:
				panic(e)
			}
		}()
		mux.ServeHTTP(w, r)
	})
}

func (c *control) routes() *http.ServeMux {
	s, mux := c.server, http.NewServeMux()
	mux.HandleFunc("GET /settings", c.getSettings)
	mux.HandleFunc("POST /settings", c.changeSettings)
	mux.HandleFunc("GET /requests", c.getRequests)
	mux.HandleFunc("DELETE /requests", call(s.ResetCounters))
	mux.HandleFunc("GET /unexpected", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, list(c.tb.unexpectedRequests()))
	})
	mux.HandleFunc("POST /tokens", c.newToken)
	mux.HandleFunc("POST /failures", callWith(c.addFailure))
	mux.HandleFunc("DELETE /failures", call(s.ClearFailures))
	mux.HandleFunc("POST /apps", callWith(s.Register))
	mux.HandleFunc("POST /users", callWith(s.RegisterUser))
	mux.HandleFunc("POST /identities", callWith(s.AssignIdentity))
	mux.HandleFunc("POST /clusters", callWith(s.RegisterCluster))
	mux.HandleFunc("GET /devices", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, list(s.PendingUserCodes()))
	})
	mux.HandleFunc("POST /devices", callWith(c.decideDevice))
	mux.HandleFunc("POST /shutdown", call(c.stop))
	return mux
}

func (c *control) getRequests(w http.ResponseWriter, _ *http.Request) {
	s := c.server
	writeJSON(w, map[string]any{
		"requests":       list(s.Requests()),
		"connections":    s.Connections(),
		"connects":       list(s.ProxyConnects()),
		"token_requests": s.TokenRequests(),
		"imds_requests":  s.IMDSRequests(),
		"issued":         s.Issued(),
	})
}

func (c *control) newToken(w http.ResponseWriter, r *http.Request) {
	request := decode[struct {
		Issuer, Subject, Audience, Lifetime string
		Forged                              bool
	}](r)
	claims := entratest.Claims{
		Issuer:   request.Issuer,
		Subject:  request.Subject,
		Audience: request.Audience,
	}
	if claims.Subject == "" {
		claims.Subject = c.subject
	}
	if request.Lifetime != "" {
		lifetime, err := time.ParseDuration(request.Lifetime)
		checkRequest(err)
		claims.Expires = time.Now().Add(lifetime)
	}
	sign := c.server.Assertion
	if request.Forged {
		sign = c.server.ForgedAssertion
	}
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, sign(claims)) // fails only when the client is gone
}

// A failureRequest is the body of POST /failures.
type failureRequest struct {
	Count      *int   // default 1
	Endpoint   string // "token" or "imds"; default "token"
	AADSTS     int
	Status     int
	Body       string
	RetryAfter string `json:"retry_after"`
	Redirect   string
	Break      string
	ConnFault  string `json:"conn_fault"`
	Hang       bool
}

func (c *control) addFailure(f failureRequest) {
	failure := entratest.Failure{
		Status: f.Status, Body: f.Body, AADSTS: f.AADSTS, Hang: f.Hang, Redirect: f.Redirect,
	}
	if f.RetryAfter != "" {
		failure.Header = http.Header{"Retry-After": {f.RetryAfter}}
	}
	var known bool
	failure.Break, known = map[string]entratest.Break{
		"": 0, "connection": entratest.BreakConnection, "body": entratest.BreakBody,
	}[f.Break]
	count := 1
	if f.Count != nil {
		count = *f.Count
	}
	connFault, err := findConnFault(f.ConnFault)
	checkRequest(err)
	switch {
	case !known:
		panic(badRequest(`"break" must be "connection" or "body"`))
	case count < 0:
		panic(badRequest(`"count" must not be negative`))
	case f.Endpoint == "imds" && connFault != nil:
		panic(badRequest(`"conn_fault" is for the token endpoint only`))
	case f.Endpoint == "imds":
		c.server.FailIMDS(count, failure)
	case f.Endpoint != "" && f.Endpoint != "token":
		panic(badRequest(`"endpoint" must be "token" or "imds"`))
	case connFault != nil:
		c.server.FailNextConn(count, connFault)
	default:
		c.server.FailNext(count, failure)
	}
}

// A deviceDecision is the body of POST /devices.
type deviceDecision struct {
	UserCode string `json:"user_code"`
	User     string // "" declines
}

func (c *control) decideDevice(d deviceDecision) {
	if d.User == "" {
		checkRequest(c.server.DeclineDevice(d.UserCode))
		return
	}
	checkRequest(c.server.ApproveDevice(d.UserCode, d.User))
}

// call returns a handler that calls f and sends no content.
func call(f func()) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		f()
		w.WriteHeader(http.StatusNoContent)
	}
}

// callWith returns a handler that calls f with the decoded body and sends no content.
func callWith[T any](f func(T)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f(decode[T](r))
		w.WriteHeader(http.StatusNoContent)
	}
}

// decode reads a JSON body; no body gives the zero value. It panics with a badRequest if the body
// is malformed or has an unknown field.
func decode[T any](r *http.Request) (value T) {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); !errors.Is(err, io.EOF) {
		checkRequest(err)
	}
	return value
}

// checkRequest panics with a badRequest if err is not nil.
func checkRequest(err error) {
	if err != nil {
		panic(badRequest(err.Error()))
	}
}

// list makes encoding/json write [] for no values, and not null.
func list(values []string) []string { return append([]string{}, values...) }

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false) // people read the "&" of requests
	encoder.Encode(value)        // fails only when the client is gone
}
