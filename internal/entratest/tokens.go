package entratest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// issueToken answers a valid request with an access token.
func (s *Server) issueToken(w http.ResponseWriter, t *tokenRequest) {
	s.mu.Lock()
	lifetime, refreshIn := s.tokenLifetime, s.refreshIn
	s.mu.Unlock()
	token := s.accessToken(t, lifetime)
	body := map[string]any{
		"token_type":     "Bearer",
		"expires_in":     int64(lifetime / time.Second),
		"ext_expires_in": int64(lifetime / time.Second),
		"access_token":   token,
	}
	if t.cnf != nil {
		body["token_type"] = "pop"
	}
	if t.user != nil {
		maps.Copy(body, s.userFields(t, lifetime))
	}
	if refreshIn != 0 {
		body["refresh_in"] = int64(refreshIn / time.Second)
	}
	s.countIssued(token)
	setClientTelemetry(w, 0)
	traceID := guid("trace", s.nextSerial())
	writeEntra(w, http.StatusOK, traceID, t.placeholders["correlation"], body)
}

func (s *Server) countIssued(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	s.issuedTokens = append(s.issuedTokens, token)
}

// validSince returns the iat and nbf claims of a token that is issued now: five minutes ago, like
// Entra's, for API servers whose clock is behind.
func validSince(now time.Time) int64 { return now.Add(-5 * time.Minute).Unix() }

// accessToken returns a signed access token of version 1.0, the version that AKS requests.
func (s *Server) accessToken(t *tokenRequest, lifetime time.Duration) string {
	k, n, now := entraKey(), s.nextSerial(), time.Now()
	claims := map[string]any{
		"aud":   t.resource,
		"iss":   tokenIssuer(t.tenant),
		"iat":   validSince(now),
		"nbf":   validSince(now),
		"exp":   now.Add(lifetime).Unix(),
		"aio":   opaque("aio", n),
		"appid": t.app.ClientID,
		"tid":   t.tenant,
		"rh":    "1." + opaque("rh "+t.tenant, 0),
		"uti":   opaque("uti", n),
		"ver":   "1.0",
	}
	groups := t.app.Groups
	if t.user != nil {
		groups = t.user.Groups
		maps.Copy(claims, t.user.accessClaims(t))
	} else {
		claims["appidacr"] = cmp.Or(t.appIDACR, "2")
		claims["idp"], claims["idtyp"] = claims["iss"], "app"
		claims["oid"], claims["sub"] = t.app.ObjectID, t.app.ObjectID
	}
	if t.app.ResourceID != "" {
		claims["xms_mirid"] = t.app.ResourceID
	}
	if len(groups) > 0 {
		claims["groups"] = groups
	}
	if t.cnf != nil {
		claims["cnf"] = t.cnf
	}
	header := map[string]any{"typ": "JWT", "kid": k.kid, "x5t": k.kid}
	if t.resource != exchangeAppID {
		return s.sign(k.key, header, claims)
	}
	claims["iss"], claims["ver"], claims["azp"] = exchangeIssuer(t.tenant), "2.0", t.app.ClientID
	delete(claims, "appid")
	token := s.sign(k.key, header, claims)
	s.setExchangeRefusal(token, t)
	return token
}

// Verify verifies an access token as an API server does: signature, issuer, audience and validity.
// It returns the token's claims. The error wraps those of package jwt.
func (s *Server) Verify(accessToken, audience string) (map[string]any, error) {
	claims := jwt.MapClaims{}
	key := func(t *jwt.Token) (any, error) {
		if t.Header["kid"] != entraKey().kid {
			return nil, fmt.Errorf("unknown kid %v", t.Header["kid"])
		}
		return entraKey().key.Public(), nil
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
	_, err := parser.ParseWithClaims(accessToken, claims, key)
	if err != nil {
		return nil, fmt.Errorf("access token: %w", err)
	}
	tid, _ := claims["tid"].(string)
	if id, _, ok := s.findTenant(tid); !ok || claims["iss"] != tokenIssuer(id) {
		return nil, errors.New("access token: unknown issuer or tenant")
	}
	return claims, nil
}

// accessClaims returns the user's claims in an access token.
func (u *User) accessClaims(t *tokenRequest) map[string]any {
	return map[string]any{
		"acr":         "1",
		"amr":         u.authMethods(),
		"appidacr":    "0",
		"ipaddr":      "203.0.113.7",
		"name":        u.displayName(),
		"oid":         u.ObjectID,
		"scp":         "user_impersonation",
		"sub":         pairwiseSubject(u, t.resource),
		"unique_name": u.Name,
		"upn":         u.Name,
	}
}

// userFields returns the fields of a user's token response besides the access token.
func (s *Server) userFields(t *tokenRequest, lifetime time.Duration) map[string]any {
	scopes := strings.Fields(t.form.Get("scope"))
	requested := resourceScopes(t.form.Get("scope"))
	resource, _, _ := cutLast(requested[0], "/")
	granted := append([]string{resource + "/user_impersonation"}, requested...)
	slices.Sort(granted)
	fields := map[string]any{"scope": strings.Join(slices.Compact(granted), " ")}
	if slices.Contains(scopes, "openid") {
		fields["id_token"] = s.idToken(t, lifetime)
	}
	if t.form.Get("client_info") == "1" {
		fields["client_info"] = t.user.clientInfo()
	}
	if slices.Contains(scopes, "offline_access") {
		family := knownClients[strings.ToLower(t.app.ClientID)]
		if family != "" {
			fields["foci"] = family
		}
		fields["refresh_token"] = s.newRefreshToken(t)
	}
	return fields
}

// idToken returns a signed ID token of version 2.0.
func (s *Server) idToken(t *tokenRequest, lifetime time.Duration) string {
	k, n, now := entraKey(), s.nextSerial(), time.Now()
	token := s.sign(k.key, map[string]any{"typ": "JWT", "kid": k.kid}, map[string]any{
		"aud":                t.app.ClientID,
		"iss":                "https://" + entraHosts[0] + "/" + t.tenant + "/v2.0",
		"iat":                validSince(now),
		"nbf":                validSince(now),
		"exp":                now.Add(lifetime).Unix(),
		"name":               t.user.displayName(),
		"oid":                t.user.ObjectID,
		"preferred_username": t.user.Name,
		"sub":                pairwiseSubject(t.user, t.app.ClientID),
		"tid":                t.tenant,
		"rh":                 "1." + opaque("rh "+t.tenant, 0),
		"uti":                opaque("uti", n),
		"ver":                "2.0",
	})
	s.recordSecrets(token)
	return token
}

func (s *Server) newRefreshToken(t *tokenRequest) string {
	n := s.nextSerial()
	token := "1.A" + opaque("refresh token", n) + opaque("of "+t.user.Name, n)
	s.mu.Lock()
	s.refreshTokens[token] = &session{
		user:   t.user.Name,
		client: strings.ToLower(t.app.ClientID),
		issued: time.Now(),
	}
	s.mu.Unlock()
	s.recordSecrets(token)
	return token
}
