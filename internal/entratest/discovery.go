package entratest

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// instanceMetadata is the metadata of Entra's instance discovery: the host names of each cloud.
var instanceMetadata = []map[string]any{
	{
		"preferred_network": "login.microsoftonline.com",
		"preferred_cache":   "login.windows.net",
		"aliases": []string{
			"login.microsoftonline.com",
			"login.windows.net",
			"login.microsoft.com",
			"sts.windows.net",
		},
	},
	{
		"preferred_network": "login.partner.microsoftonline.cn",
		"preferred_cache":   "login.partner.microsoftonline.cn",
		"aliases":           []string{"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"},
	},
	{
		"preferred_network": "login.microsoftonline.de",
		"preferred_cache":   "login.microsoftonline.de",
		"aliases":           []string{"login.microsoftonline.de"},
	},
	{
		"preferred_network": "login.microsoftonline.us",
		"preferred_cache":   "login.microsoftonline.us",
		"aliases":           []string{"login.microsoftonline.us", "login.usgovcloudapi.net"},
	},
	{
		"preferred_network": "login-us.microsoftonline.com",
		"preferred_cache":   "login-us.microsoftonline.com",
		"aliases":           []string{"login-us.microsoftonline.com"},
	},
}

// serveInstanceDiscovery refuses hosts that are not Entra's, as the real one does. That includes
// the emulator's loopback names.
func (s *Server) serveInstanceDiscovery(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !s.onlyParameters(w, r, q, "api-version", "authorization_endpoint") {
		return
	}
	endpoint, err := url.Parse(q.Get("authorization_endpoint"))
	if err != nil || !slices.Contains(entraHosts, endpoint.Host) {
		s.refuse(w, r, 50049, 0, nil)
		return
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(endpoint.Path, "/"), "/")
	s.setDocumentHeaders(w, r)
	writeJSON(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": "https://" + endpoint.Host + "/" + tenant +
			"/v2.0/.well-known/openid-configuration",
		"api-version": "1.1",
		"metadata":    instanceMetadata,
	})
}

func (s *Server) serveOpenIDConfigurationV2(w http.ResponseWriter, r *http.Request) {
	if id, name, ok := s.documentTenant(w, r); ok {
		host := "https://" + r.Host + "/"
		s.writeOpenIDConfiguration(w, r, host+id+"/v2.0", host+name, "/v2.0")
	}
}

func (s *Server) serveOpenIDConfigurationV1(w http.ResponseWriter, r *http.Request) {
	if id, name, ok := s.documentTenant(w, r); ok {
		s.writeOpenIDConfiguration(w, r, tokenIssuer(id), "https://"+r.Host+"/"+name, "")
	}
}

// writeOpenIDConfiguration writes an OpenID configuration. version is "/v2.0", or "" for version
// 1.0, whose token endpoint it names although it is not served: a client that uses it is reported.
func (s *Server) writeOpenIDConfiguration(
	w http.ResponseWriter, r *http.Request, issuer, base, version string,
) {
	type list = []string
	s.setDocumentHeaders(w, r)
	writeJSON(w, http.StatusOK, map[string]any{
		"token_endpoint":                        base + "/oauth2" + version + "/token",
		"token_endpoint_auth_methods_supported": list{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		"jwks_uri":                              base + "/discovery" + version + "/keys",
		"response_modes_supported":              list{"query", "fragment", "form_post"},
		"subject_types_supported":               list{"pairwise"},
		"id_token_signing_alg_values_supported": list{"RS256"},
		"response_types_supported":              list{"code", "id_token", "code id_token", "id_token token"},
		"scopes_supported":                      list{"openid", "profile", "email", "offline_access"},
		"issuer":                                issuer,
		"request_uri_parameter_supported":       false,
		"userinfo_endpoint":                     "https://graph.microsoft.com/oidc/userinfo",
		"authorization_endpoint":                base + "/oauth2" + version + "/authorize",
		"device_authorization_endpoint":         base + "/oauth2" + version + "/devicecode",
		"http_logout_supported":                 true,
		"frontchannel_logout_supported":         true,
		"end_session_endpoint":                  base + "/oauth2" + version + "/logout",
		"claims_supported":                      supportedClaims,
		"kerberos_endpoint":                     base + "/kerberos",
		"tenant_region_scope":                   "EU",
		"cloud_instance_name":                   "microsoftonline.com",
		"cloud_graph_host_name":                 "graph.windows.net",
		"msgraph_host":                          "graph.microsoft.com",
		"rbac_url":                              "https://pas.windows.net",
	})
}

// supportedClaims are the claims that Entra's OpenID configuration lists.
var supportedClaims = strings.Fields("sub iss cloud_instance_name cloud_instance_host_name " +
	"cloud_graph_host_name msgraph_host aud exp iat auth_time acr nonce preferred_username name " +
	"tid ver at_hash c_hash email")

func (s *Server) serveJWKS(w http.ResponseWriter, r *http.Request) {
	if _, _, ok := s.documentTenant(w, r); ok {
		s.setDocumentHeaders(w, r)
		w.Write(s.JWKS()) // fails only when the client is gone
	}
}

// documentTenant returns the ID of the tenant whose document is requested, and its name for use in
// URLs. "common" and "organizations" have documents too; their ID is a placeholder. If ok is false,
// it has answered the request.
func (s *Server) documentTenant(w http.ResponseWriter, r *http.Request) (id, name string, ok bool) {
	if !s.onlyParameters(w, r, r.URL.Query()) {
		return "", "", false
	}
	requested := r.PathValue("tenant")
	if isSharedTenant(requested) {
		return "{tenantid}", requested, true
	}
	id, _, ok = s.findTenant(requested)
	if !ok {
		s.refuse(w, r, 90002, 0, map[string]string{"tenant": requested})
	}
	return id, id, ok
}

// JWKS returns the JSON document with Entra's published signing keys, an RFC 7517 JWK Set. It is
// the same in every tenant.
func (s *Server) JWKS() []byte {
	k := entraKey()
	exponent := big.NewInt(int64(k.key.E)).Bytes()
	b, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.kid, "x5t": k.kid,
		"n":   base64.RawURLEncoding.EncodeToString(k.key.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString(exponent),
		"x5c": []string{base64.StdEncoding.EncodeToString(k.cert)},
	}}})
	if err != nil {
		s.tb.Fatalf("entratest: %v", err)
	}
	return b
}
