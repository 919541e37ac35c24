package entratest

import (
	"net/http"
	"strings"
	"time"
)

// StartGitHubWorkflow starts a GitHub Actions workflow that may request ID tokens for that subject.
// The workflow of an earlier call ends. It returns the values that GitHub Actions sets as
// ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN. The URL leads to the Server
// through the CONNECT proxy. A client without a proxy uses [Server.URL] followed by the URL's path
// and query.
func (s *Server) StartGitHubWorkflow(subject string) (url, requestToken string) {
	token := "ghs_" + opaque("request token", s.nextSerial())
	s.recordSecrets(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.github.subject, s.github.requestToken = subject, token
	return gitHubIssuerURL + "/github/oidc?api-version=2.0", token
}

func (s *Server) routeGitHub(mux *http.ServeMux) {
	mux.HandleFunc("GET /github/oidc", s.serveGitHub)
}

func (s *Server) serveGitHub(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.gitHubRequests++
	subject, want := s.github.subject, s.github.requestToken
	failure := popFailure(&s.github.failures)
	s.mu.Unlock()

	q := r.URL.Query()
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case want == "":
		s.serveUnknown(w, r)
	case !s.onlyParameters(w, r, q, "api-version", "audience"):
		// onlyParameters has answered.
	case failure != nil:
		failure.send(w, r, nil)
	case q.Get("api-version") != "2.0":
		s.unexpected("GitHub: api-version %q; the request URL has 2.0", q.Get("api-version"))
		http.Error(w, "unknown api-version", http.StatusBadRequest)
	case !strings.EqualFold(scheme, "bearer") || got != want:
		writeUncachedJSON(w, http.StatusUnauthorized, map[string]any{"message": "Unauthorized"})
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8; api-version=2.0")
		idToken := s.gitHubToken(subject, q.Get("audience"))
		s.recordSecrets(idToken)
		writeUncachedJSON(w, http.StatusOK, map[string]any{"count": 1, "value": idToken})
	}
}

// gitHubToken returns an ID token with a lifetime of five minutes. Its key is the cluster issuer's
// with another key ID, because generating a third key takes time.
func (s *Server) gitHubToken(subject, audience string) string {
	if audience == "" {
		audience = "https://github.com/octo-org" // GitHub's default: the owner of the repository
	}
	now := time.Now()
	return s.sign(issuerKey().key, map[string]any{"typ": "JWT", "kid": gitHubKid}, map[string]any{
		"iss":              gitHubIssuerURL,
		"sub":              subject,
		"aud":              audience,
		"iat":              now.Unix(),
		"nbf":              now.Unix(),
		"exp":              now.Add(5 * time.Minute).Unix(),
		"jti":              guid("jti", s.nextSerial()),
		"repository":       "octo-org/octo-repo",
		"repository_owner": "octo-org",
		"ref":              "refs/heads/main",
	})
}
