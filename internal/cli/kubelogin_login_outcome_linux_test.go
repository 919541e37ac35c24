package cli

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
)

// loginOutcome is what a run sent, which tools it ran, and what it ended with.
type loginOutcome struct {
	sent   []sentRequest
	ran    []string
	result string // whose token it printed, or "failed"
	stderr string // what it said, for people
}

// invalidRequest begins the line of a request that no well-behaved program sends.
const invalidRequest = "wrong: "

// sentRequest is a request with all that can be compared of it.
type sentRequest struct {
	line   string            // method, host and path
	fields map[string]string // of the query, the form and the headers
}

func (o loginOutcome) lines() (lines []string) {
	for _, r := range o.sent {
		line := r.line
		for _, name := range slices.Sorted(maps.Keys(r.fields)) {
			line += " " + name + "=" + r.fields[name]
		}
		if len(lines) == 0 || lines[len(lines)-1] != line { // a poll, or another try
			lines = append(lines, line)
		}
	}
	return slices.Concat(lines, o.ran, []string{o.result})
}

// setRefused is what comes of a refusal before anything is sent.
func (o *loginOutcome) setRefused() bool {
	changed := len(o.sent) > 0 || len(o.ran) > 0 || o.result != "failed"
	o.sent, o.ran, o.result = nil, nil, "failed"
	return changed
}

// setFields sets fields of the requests that fit, and tells whether that changed something.
func (o *loginOutcome) setFields(fits func(sentRequest) bool, fields map[string]string) (changed bool) {
	for _, r := range o.sent {
		if !fits(r) {
			continue
		}
		for name, value := range fields {
			changed = changed || r.fields[name] != value
			if r.fields[name] = value; value == "" {
				delete(r.fields, name)
			}
		}
	}
	return changed
}

func sentTo(endpoint string) func(sentRequest) bool {
	return func(r sentRequest) bool { return strings.HasSuffix(r.line, endpoint) }
}

// randomFields are the values that differ from run to run.
var randomFields = regexp.MustCompile(`^(refresh_token|device_code|code|code_verifier|code_challenge|state|nonce|client-request-id)$`)

// serviceHeaders are those that other services than Entra ID look at.
var serviceHeaders = []string{"Authorization", "Metadata", "X-Identity-Header", "X-Tfs-Fedauthredirect", "Accept", "Content-Type"}

// sentRequests is what arrived at the emulator.
func (r *loginRun) sentRequests() (requests []sentRequest) {
	forms, headers := r.server.OAuthRequests(), r.server.RequestHeaders()
	own := r.placeholders()
	for i, request := range r.server.Requests() {
		line, query, _ := strings.Cut(request, "?")
		words := strings.SplitN(line, " ", 3)
		s := sentRequest{fields: map[string]string{}}
		values, err := url.ParseQuery(query)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(forms) > 0 && path.Base(words[2]) == forms[0].Endpoint && words[1] == forms[0].Host && strings.Contains(words[2], "/oauth2/v2.0/") {
			values, forms = forms[0].Form, forms[1:]
		}
		for name, value := range values {
			s.fields[name] = strings.Join(value, ",")
		}
		if !strings.HasPrefix(words[1], "login.") && words[1] != strings.TrimPrefix(r.server.URL, "https://") {
			for _, name := range serviceHeaders {
				if value := headers[i].Get(name); value != "" {
					s.fields[name] = value
				}
			}
		}
		decodeFields(s.fields)
		for name, value := range s.fields {
			s.fields[name] = own.Replace(value)
			if randomFields.MatchString(name) {
				s.fields[name] = "…"
			}
			s.fields[name] = loopbackPort.ReplaceAllString(s.fields[name], "$1:ANY")
		}
		s.line = loopbackPort.ReplaceAllString(own.Replace(line), "$1:ANY")
		requests = append(requests, s)
	}
	return requests
}

// placeholders puts names in the place of values that differ from run to run.
func (r *loginRun) placeholders() *strings.Replacer {
	pairs := []string{strings.TrimPrefix(r.server.URL, "https://"), "$ENTRA", "localhost:" + r.values["PORT"], "localhost:$PORT"}
	for _, name := range []string{"HEADER", "SYSTEM_TOKEN", "GITHUB_TOKEN"} {
		pairs = append(pairs, r.values[name], "$"+name)
	}
	return strings.NewReplacer(pairs...)
}

// decodeFields takes apart what is encoded in fields.
func decodeFields(fields map[string]string) {
	if raw, err := base64.RawURLEncoding.DecodeString(fields["req_cnf"]); err == nil && len(raw) > 0 {
		fields["req_cnf"] = regexp.MustCompile(`"kid":"[\w-]{43}"`).ReplaceAllString(string(raw), `"kid":"…"`)
	}
	assertion := fields["client_assertion"]
	if assertion == "" {
		return
	}
	delete(fields, "client_assertion")
	if strings.TrimSpace(assertion) != assertion {
		fields["assertion's white space"] = fmt.Sprintf("%q", strings.TrimPrefix(assertion, strings.TrimSpace(assertion)))
	}
	header, claims := jwtParts(assertion)
	for _, name := range []string{"alg", "typ", "kid", "x5t", "x5t#S256"} {
		if value := header[name]; value != nil {
			fields["assertion's "+name] = fmt.Sprint(value)
		}
	}
	if chain, there := header["x5c"].([]any); there {
		fields["assertion's x5c"] = fmt.Sprintf("%d", len(chain))
		if der, err := base64.StdEncoding.DecodeString(fmt.Sprint(chain[0])); err == nil {
			fields["assertion's certificate"] = fmt.Sprintf("%x", sha256.Sum256(der))
		}
	}
	for _, name := range []string{"iss", "sub", "aud"} {
		fields["assertion's "+name] = fmt.Sprint(claims[name])
	}
}

// jwtParts decodes a JWT; what is none has none.
func jwtParts(jwt string) (header, claims map[string]any) {
	parts := strings.Split(strings.TrimSpace(jwt), ".")
	for i, into := range []*map[string]any{&header, &claims} {
		if len(parts) > i {
			raw, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err == nil {
				json.Unmarshal(raw, into) // what is no object stays empty
			}
		}
	}
	return header, claims
}

// Kinds of tokens that are printed. A PoP token's header and claims are those that kubelogin's has.
const (
	bearerToken = "bearer token"

	popToken = "PoP token with u=%s"

	popParts = "[alg kid typ] [at cnf nonce ts u]"
)

// tokenResult says whose token was printed. It must be one of the emulator's.
func (r *loginRun) tokenResult(stdout string) string {
	var credential clientauthentication.ExecCredential
	if err := json.Unmarshal([]byte(stdout), &credential); err != nil || credential.Status == nil {
		return fmt.Sprintf("no ExecCredential: %v %q", err, stdout)
	}
	header, claims := jwtParts(credential.Status.Token)
	kind := bearerToken
	verify := func() (map[string]any, error) {
		return r.server.Verify(credential.Status.Token, fmt.Sprint(claims["aud"]))
	}
	if strings.EqualFold(fmt.Sprint(header["typ"]), "pop") {
		u := fmt.Sprint(claims["u"])
		_, inner := jwtParts(fmt.Sprint(claims["at"]))
		kind = fmt.Sprintf(popToken, u)
		if parts := fmt.Sprint(slices.Sorted(maps.Keys(header)), slices.Sorted(maps.Keys(claims))); parts != popParts {
			kind += " and the parts " + parts
		}
		verify = func() (map[string]any, error) {
			return r.server.VerifyPoP(credential.Status.Token, fmt.Sprint(inner["aud"]), u)
		}
	}
	verified, err := verify()
	if err != nil {
		return fmt.Sprintf("a token that does not verify: %v", err)
	}
	text := kind
	for _, name := range []string{"aud", "tid", "appid", "upn"} {
		text += fmt.Sprintf(" %s=%v", name, verified[name])
	}
	return text
}
