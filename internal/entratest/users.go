package entratest

import (
	"net/http"
	"slices"
	"strings"
)

// RegisterUser adds a user to a tenant, or replaces the one with the same name. It keeps a copy. A
// name without "@" and an unknown AADSTS code are fatal.
func (s *Server) RegisterUser(u User) {
	if !strings.Contains(u.Name, "@") {
		s.tb.Fatalf("entratest: %q is not a user principal name", u.Name)
	}
	s.requireKnownCode(u.AADSTS)
	u.Groups = slices.Clone(u.Groups)
	u.Tenant = strings.ToLower(u.Tenant)
	if u.ObjectID == "" {
		u.ObjectID = guid("object of "+strings.ToLower(u.Name), 0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.getOrAddTenant(u.Tenant)
	if s.users == nil {
		s.users, s.refreshTokens = map[string]User{}, map[string]*session{}
	}
	s.users[strings.ToLower(u.Name)] = u
}

// RevokeRefreshTokens makes all refresh tokens that a user has so far fail with AADSTS50173, as
// after a change of the password. An unknown user is fatal.
func (s *Server) RevokeRefreshTokens(user string) { s.endRefreshTokens(user, 50173) }

// ExpireRefreshTokens makes all refresh tokens that a user has so far fail with AADSTS700082, as
// after 90 days without use. An unknown user is fatal.
func (s *Server) ExpireRefreshTokens(user string) { s.endRefreshTokens(user, 700082) }

func (s *Server) endRefreshTokens(user string, code int) {
	if _, ok := s.findUser(user); !ok {
		s.tb.Fatalf("entratest: user %s not found", user)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.refreshTokens {
		if strings.EqualFold(session.user, user) {
			session.aadsts = code
		}
	}
}

func (s *Server) findUser(name string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.users[strings.ToLower(name)]
	return u, ok
}

// serveUserRealm says whether Entra itself checks the passwords of a domain. MSAL requests that
// before it sends a password.
func (s *Server) serveUserRealm(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !s.onlyParameters(w, r, q, "api-version") {
		return
	}
	if q.Get("api-version") != "1.0" {
		s.unexpected("user realm with api-version %q", q.Get("api-version"))
	}
	realm := map[string]any{
		"ver":                 "1.0",
		"account_type":        "Unknown",
		"cloud_instance_name": "microsoftonline.com",
		"cloud_audience_urn":  "urn:federation:MicrosoftOnline",
	}
	_, domain, ok := cutLast(strings.ToLower(r.PathValue("user")), "@")
	if ok && s.knowsDomain(domain) {
		realm["account_type"], realm["domain_name"] = "Managed", domain
		s.mu.Lock()
		metadataURL := s.realms[domain]
		s.mu.Unlock()
		if metadataURL != "" {
			realm["account_type"], realm["federation_protocol"] = "Federated", "WSTrust"
			realm["federation_metadata_url"] = metadataURL
			service := strings.TrimSuffix(metadataURL, "/mex")
			realm["federation_active_auth_url"] = service + "/2005/usernamemixed"
		}
	}
	w.Header().Set("Content-Disposition", "inline; filename=userrealm.json")
	traceID := guid("trace", s.nextSerial())
	writeEntra(w, http.StatusOK, traceID, r.Header.Get("client-request-id"), realm)
}

// knowsDomain reports whether a tenant or a user has that domain.
func (s *Server) knowsDomain(domain string) bool {
	if _, _, ok := s.findTenant(domain); ok {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.users {
		if strings.HasSuffix(name, "@"+domain) {
			return true
		}
	}
	return false
}
