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
	"strconv"
	"strings"

	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
)

// loginOutcome is the outcome of a login: the requests that it sent, the tools that it ran, and its
// result.
type loginOutcome struct {
	sent   []sentRequest
	ran    []string
	result string // whose token it printed, or "failed"
	stderr string
}

// invalidRequest is the prefix of the line of a request that the emulator rejects as invalid.
const invalidRequest = "wrong: "

// sentRequest is what is compared of a request.
type sentRequest struct {
	line   string            // method, host and path
	fields map[string]string // of the query, the form and the headers
}

// lines returns the outcome as text. Repeated requests, as polls and retries, count once.
func (o loginOutcome) lines() (lines []string) {
	for _, r := range o.sent {
		line := r.line
		for _, name := range slices.Sorted(maps.Keys(r.fields)) {
			line += " " + name + "=" + r.fields[name]
		}
		if len(lines) == 0 || lines[len(lines)-1] != line {
			lines = append(lines, line)
		}
	}
	return slices.Concat(lines, o.ran, []string{o.result})
}

// setRefused makes the outcome a refusal before any request, and reports whether that is a change.
func (o *loginOutcome) setRefused() bool {
	changed := len(o.sent) > 0 || len(o.ran) > 0 || o.result != "failed"
	o.sent, o.ran, o.result = nil, nil, "failed"
	return changed
}

// setFields sets fields of the requests that match, or removes fields whose value is "". It reports
// whether that is a change.
func (o *loginOutcome) setFields(
	matches func(sentRequest) bool, fields map[string]string,
) (changed bool) {
	for _, r := range o.sent {
		if !matches(r) {
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

// randomFields matches the fields whose values differ from run to run.
var randomFields = regexp.MustCompile(`^(refresh_token|device_code|code|code_verifier|` +
	`code_challenge|state|nonce|client-request-id)$`)

// serviceHeaders are the headers that other services than Entra ID read.
var serviceHeaders = []string{
	"Authorization", "Metadata", "X-Identity-Header", "X-Tfs-Fedauthredirect", "Accept",
	"Content-Type",
}

// sentRequests returns the requests that the emulator received.
func (r *loginRun) sentRequests() (requests []sentRequest) {
	forms, headers := r.server.OAuthRequests(), r.server.RequestHeaders()
	placeholders := r.placeholders()
	for i, request := range r.server.Requests() {
		line, query, _ := strings.Cut(request, "?")
		words := strings.SplitN(line, " ", 3)
		host, requestPath := words[1], words[2]
		s := sentRequest{fields: map[string]string{}}
		values, err := url.ParseQuery(query)
		if err != nil {
			r.t.Fatal(err)
		}
		// The next form belongs to the next request to an OAuth endpoint.
		isOAuth := strings.Contains(requestPath, "/oauth2/v2.0/")
		if isOAuth && len(forms) > 0 &&
			path.Base(requestPath) == forms[0].Endpoint && host == forms[0].Host {
			values, forms = forms[0].Form, forms[1:]
		}
		for name, value := range values {
			s.fields[name] = strings.Join(value, ",")
		}
		isEntra := strings.HasPrefix(host, "login.") ||
			host == strings.TrimPrefix(r.server.URL, "https://")
		if !isEntra {
			for _, name := range serviceHeaders {
				if value := headers[i].Get(name); value != "" {
					s.fields[name] = value
				}
			}
		}
		decodeFields(s.fields)
		for name, value := range s.fields {
			s.fields[name] = placeholders.Replace(value)
			if randomFields.MatchString(name) {
				s.fields[name] = "…"
			}
			s.fields[name] = loopbackPort.ReplaceAllString(s.fields[name], "$1:ANY")
		}
		s.line = loopbackPort.ReplaceAllString(placeholders.Replace(line), "$1:ANY")
		requests = append(requests, s)
	}
	return requests
}

// placeholders replaces values that differ from run to run by names.
func (r *loginRun) placeholders() *strings.Replacer {
	pairs := []string{
		strings.TrimPrefix(r.server.URL, "https://"), "$ENTRA",
		"localhost:" + r.values["PORT"], "localhost:$PORT",
	}
	for _, name := range []string{"HEADER", "SYSTEM_TOKEN", "GITHUB_TOKEN"} {
		pairs = append(pairs, r.values[name], "$"+name)
	}
	return strings.NewReplacer(pairs...)
}

var keyID = regexp.MustCompile(`"kid":"[\w-]{43}"`)

// decodeFields replaces encoded fields by fields that can be compared.
func decodeFields(fields map[string]string) {
	raw, err := base64.RawURLEncoding.DecodeString(fields["req_cnf"])
	if err == nil && len(raw) > 0 {
		fields["req_cnf"] = keyID.ReplaceAllString(string(raw), `"kid":"…"`)
	}
	assertion := fields["client_assertion"]
	if assertion == "" {
		return
	}
	delete(fields, "client_assertion")
	if trimmed := strings.TrimSpace(assertion); trimmed != assertion {
		space := strings.TrimPrefix(assertion, trimmed)
		fields["assertion's white space"] = fmt.Sprintf("%q", space)
	}
	header, claims := jwtParts(assertion)
	for _, name := range []string{"alg", "typ", "kid", "x5t", "x5t#S256"} {
		if value := header[name]; value != nil {
			fields["assertion's "+name] = fmt.Sprint(value)
		}
	}
	if chain, ok := header["x5c"].([]any); ok {
		fields["assertion's x5c"] = strconv.Itoa(len(chain))
		if der, err := base64.StdEncoding.DecodeString(fmt.Sprint(chain[0])); err == nil {
			fields["assertion's certificate"] = fmt.Sprintf("%x", sha256.Sum256(der))
		}
	}
	for _, name := range []string{"iss", "sub", "aud"} {
		fields["assertion's "+name] = fmt.Sprint(claims[name])
	}
}

// jwtParts returns the header and the claims of a JWT, nil for parts that are invalid.
func jwtParts(jwt string) (header, claims map[string]any) {
	parts := strings.Split(strings.TrimSpace(jwt), ".")
	for i, part := range []*map[string]any{&header, &claims} {
		if len(parts) > i {
			raw, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err == nil {
				json.Unmarshal(raw, part) // stays nil if it is not an object
			}
		}
	}
	return header, claims
}

// The kinds of tokens, and the names in the header and claims of kubelogin's PoP tokens.
const (
	bearerToken = "bearer token"
	popToken    = "PoP token with u=%s"
	popParts    = "[alg kid typ] [at cnf nonce ts u]"
)

// tokenResult returns a description of the token that was printed: its kind, and whose it is. The
// token must verify with the emulator.
func (r *loginRun) tokenResult(stdout string) string {
	var credential clientauthentication.ExecCredential
	if err := json.Unmarshal([]byte(stdout), &credential); err != nil || credential.Status == nil {
		return fmt.Sprintf("no ExecCredential: %v %q", err, stdout)
	}
	printed := credential.Status.Token
	header, claims := jwtParts(printed)
	result := bearerToken
	var verified map[string]any
	var err error
	if strings.EqualFold(fmt.Sprint(header["typ"]), "pop") {
		u := fmt.Sprint(claims["u"])
		_, inner := jwtParts(fmt.Sprint(claims["at"]))
		result = fmt.Sprintf(popToken, u)
		parts := fmt.Sprint(slices.Sorted(maps.Keys(header)), slices.Sorted(maps.Keys(claims)))
		if parts != popParts {
			result += " and the parts " + parts
		}
		verified, err = r.server.VerifyPoP(printed, fmt.Sprint(inner["aud"]), u)
	} else {
		verified, err = r.server.Verify(printed, fmt.Sprint(claims["aud"]))
	}
	if err != nil {
		return fmt.Sprintf("a token that does not verify: %v", err)
	}
	for _, name := range []string{"aud", "tid", "appid", "upn"} {
		result += fmt.Sprintf(" %s=%v", name, verified[name])
	}
	return result
}
