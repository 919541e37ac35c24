package entratest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A User is a person known in a tenant.
type User struct {
	Tenant   string // the tenant's GUID
	Name     string // the user principal name, like alice@contoso.example; no two of all tenants are the same in lower case
	Password string
	ObjectID string   // derived from Name when empty
	Groups   []string // object ids, for the token's groups claim; none, no claim
	MFA      bool     // a password alone is not enough: AADSTS50076 where nobody could be asked for more
	Refusal  int      // the AADSTS code that meets whoever comes with the right password, or with a refresh token; 0: none
}

// people is who signs in, and what they hold. Guarded by Server.mu.
type people struct {
	users         map[string]User // by name in lower case
	realms        map[string]string
	devices       []*device // in order
	deviceKnobs   deviceKnobs
	signIns       map[string]*signIn        // by flow token
	codes         map[string]*authorization // by authorization code
	refreshTokens map[string]*session
}

// A session is what a refresh token stands for.
type session struct {
	user    string
	client  string
	issued  time.Time
	refusal int // 0 while it works
}

// RegisterUser adds a user to a tenant, or replaces the one with the same name. It keeps a copy.
func (s *Server) RegisterUser(u User) {
	if !strings.Contains(u.Name, "@") {
		s.tb.Fatalf("entratest: %q is no user principal name", u.Name)
	}
	s.mustKnow(u.Refusal)
	u.Groups = slices.Clone(u.Groups)
	u.Tenant = strings.ToLower(u.Tenant)
	if u.ObjectID == "" {
		u.ObjectID = guid("object of "+strings.ToLower(u.Name), 0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenant(u.Tenant)
	if s.users == nil {
		s.users, s.refreshTokens = map[string]User{}, map[string]*session{}
	}
	s.users[strings.ToLower(u.Name)] = u
}

// RevokeRefreshTokens ends all refresh tokens of a user as a new password does: AADSTS50173.
func (s *Server) RevokeRefreshTokens(user string) { s.endRefreshTokens(user, 50173) }

// ExpireRefreshTokens ends all refresh tokens of a user as three months without use do: AADSTS700082.
func (s *Server) ExpireRefreshTokens(user string) { s.endRefreshTokens(user, 700082) }

func (s *Server) endRefreshTokens(user string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, held := range s.refreshTokens {
		if strings.EqualFold(held.user, user) {
			held.refusal = code
		}
	}
}

func (s *Server) findUser(name string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.users[strings.ToLower(name)]
	return u, ok
}

// checkPublicClient finds the app that a person uses. It is one that keeps no secret.
func checkPublicClient(s *Server, t *tokenRequest) int {
	clientID := t.form.Get("client_id")
	if clientID == "" {
		t.facts["parameter"] = "client_id"
		return 900144
	}
	ok, multiTenant := false, true
	if t.tenant == "" {
		t.app, multiTenant, ok = s.findSharedApp(clientID)
	} else {
		t.app, ok = s.findApp(t.tenant, clientID)
	}
	switch {
	case !ok:
		return 700016
	case !multiTenant:
		return 50194
	case !t.app.Public:
		return 7000218
	}
	return 0
}

// setUser fills in the person, and the tenant where the endpoint is a shared one.
func (s *Server) setUser(t *tokenRequest, name string) int {
	u, ok := s.findUser(name)
	switch {
	case !ok:
		return 50034
	case t.tenant != "" && t.tenant != u.Tenant:
		t.facts["home"] = u.Tenant
		return 50020
	}
	t.tenant, t.user = u.Tenant, &u
	_, t.facts["tenant"], _ = s.findTenant(u.Tenant)
	return u.Refusal
}

// setUserByPassword is [Server.setUser] for somebody who knows the password.
func (s *Server) setUserByPassword(t *tokenRequest, name, password string) int {
	u, ok := s.findUser(name)
	if ok && u.Password != password {
		return 50126
	}
	return s.setUser(t, name)
}

// checkDelegatedScope fills in the resource that a person's scope names, where the tenant is known.
func checkDelegatedScope(s *Server, t *tokenRequest) int {
	if t.form.Get("scope") == "" {
		t.facts["parameter"] = "scope"
		return 900144
	}
	resource := ""
	for _, scope := range resourceScopes(t.form.Get("scope")) {
		named, permission, _ := cutLast(scope, "/")
		if permission != ".default" && permission != "user_impersonation" || resource != "" && named != resource {
			t.facts["scope"] = t.form.Get("scope")
			return 70011
		}
		resource = named
	}
	if resource == "" {
		t.facts["scope"] = t.form.Get("scope")
		return 70011
	}
	if t.tenant == "" {
		return 0
	}
	var ok bool
	if t.resource, ok = s.findResource(t.tenant, resource); !ok {
		return 500011
	}
	return 0
}

// accessClaims are a person's claims in an access token.
func (u *User) accessClaims(t *tokenRequest) map[string]any {
	return map[string]any{
		"acr": "1", "amr": u.methods(), "appidacr": "0", "ipaddr": "203.0.113.7", "name": u.displayName(), "oid": u.ObjectID, "scp": "user_impersonation",
		"sub": pairwise(u, t.resource), "unique_name": u.Name, "upn": u.Name,
	}
}

func (u *User) methods() []string {
	if u.MFA {
		return []string{"pwd", "mfa"}
	}
	return []string{"pwd"}
}

func (u *User) displayName() string {
	name, _, _ := strings.Cut(u.Name, "@")
	return name
}

// pairwise is the subject by which an application knows a person, and no other application does.
func pairwise(u *User, audience string) string {
	return opaque("subject "+u.ObjectID+" "+strings.ToLower(audience), 0)
}

// personal is what an answer for a person has beside the access token.
func (s *Server) personal(t *tokenRequest, life time.Duration) map[string]any {
	scope := strings.Fields(t.form.Get("scope"))
	asked := resourceScopes(t.form.Get("scope"))
	resource, _, _ := cutLast(asked[0], "/")
	granted := append([]string{resource + "/user_impersonation"}, asked...)
	slices.Sort(granted)
	more := map[string]any{"scope": strings.Join(slices.Compact(granted), " ")}
	if slices.Contains(scope, "openid") {
		more["id_token"] = s.idToken(t, life)
	}
	if t.form.Get("client_info") == "1" {
		more["client_info"] = t.user.clientInfo()
	}
	if slices.Contains(scope, "offline_access") {
		family := knownClients[strings.ToLower(t.app.ClientID)]
		if family != "" {
			more["foci"] = family
		}
		more["refresh_token"] = s.newRefreshToken(t)
	}
	return more
}

// clientInfo names a person's account at home, for the cache of MSAL.
func (u *User) clientInfo() string {
	raw, err := json.Marshal(map[string]string{"uid": u.ObjectID, "utid": u.Tenant})
	if err != nil {
		panic(err) // two strings
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// idToken signs an ID token of version 2.0.
func (s *Server) idToken(t *tokenRequest, life time.Duration) string {
	k, n, now := entraKey(), s.nextSerial(), time.Now()
	token := s.sign(k.key, map[string]any{"typ": "JWT", "kid": k.kid}, map[string]any{
		"aud": t.app.ClientID, "iss": "https://" + wellKnown[0] + "/" + t.tenant + "/v2.0",
		"iat": now.Unix() - 300, "nbf": now.Unix() - 300, "exp": now.Add(life).Unix(),
		"name": t.user.displayName(), "oid": t.user.ObjectID, "preferred_username": t.user.Name, "sub": pairwise(t.user, t.app.ClientID),
		"tid": t.tenant, "rh": "1." + opaque("rh "+t.tenant, 0), "uti": opaque("uti", n), "ver": "2.0",
	})
	s.seeSecrets(token)
	return token
}

// SetRealm makes the users of a domain federated: passwords are none of Entra's business then, and metadataURL says
// where they are checked. "" makes them managed again, as all are at first.
func (s *Server) SetRealm(domain, metadataURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.realms == nil {
		s.realms = map[string]string{}
	}
	s.realms[strings.ToLower(domain)] = metadataURL
}

// routePeople serves what only people need beside the token endpoint.
func (s *Server) routePeople(mux *http.ServeMux) {
	mux.HandleFunc("GET /common/UserRealm/{user}", s.serveUserRealm)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/devicecode", s.serveDeviceCode)
	mux.HandleFunc("GET /{tenant}/oauth2/v2.0/authorize", s.serveAuthorize)
	mux.HandleFunc("POST /{tenant}/login", s.serveLogin)
}

// serveUserRealm says whether Entra itself checks the passwords of a domain. MSAL asks before it sends one.
func (s *Server) serveUserRealm(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !s.onlyParameters(w, r, q, "api-version") {
		return
	}
	if q.Get("api-version") != "1.0" {
		s.unexpected("user realm with api-version %q", q.Get("api-version"))
	}
	answer := map[string]any{
		"ver": "1.0", "account_type": "Unknown", "cloud_instance_name": "microsoftonline.com", "cloud_audience_urn": "urn:federation:MicrosoftOnline",
	}
	if _, domain, ok := cutLast(strings.ToLower(r.PathValue("user")), "@"); ok && s.knowsDomain(domain) {
		answer["account_type"], answer["domain_name"] = "Managed", domain
		s.mu.Lock()
		metadata := s.realms[domain]
		s.mu.Unlock()
		if metadata != "" {
			answer["account_type"], answer["federation_protocol"], answer["federation_metadata_url"] = "Federated", "WSTrust", metadata
		}
	}
	writeJSON(w, http.StatusOK, answer)
}

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
