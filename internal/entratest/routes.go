package entratest

import (
	"context"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// newHandlers gives each Host header its routes. At the loopback names everything is served.
func (s *Server) newHandlers() map[string]http.Handler {
	entra, github, pipelines, all := http.NewServeMux(), http.NewServeMux(), http.NewServeMux(), http.NewServeMux()
	s.routeEntra(entra)
	s.routeEntra(all)
	s.routeGitHub(github)
	s.routeGitHub(all)
	s.routePipelines(pipelines)
	s.routePipelines(all)
	sites := map[string]http.Handler{gitHubHost: github, pipelinesHost: pipelines}
	muxes := []*http.ServeMux{entra, github, pipelines, all}
	for host := range armHosts {
		arm := http.NewServeMux()
		s.routeResourceManager(arm, armAudiences(host))
		sites[host], muxes = arm, append(muxes, arm)
	}
	s.routeResourceManager(all, armAudiences(slices.Sorted(maps.Keys(armHosts))...))
	for _, host := range entraHosts {
		sites[host] = entra
	}
	for _, host := range s.loopbackHosts {
		sites[host] = all
	}
	for _, mux := range muxes {
		mux.HandleFunc("/", s.serveUnknown)
	}
	return sites
}

func (s *Server) routeEntra(mux *http.ServeMux) {
	mux.HandleFunc("GET /common/discovery/instance", s.serveInstanceDiscovery)
	mux.HandleFunc(
		"GET /{tenant}/v2.0/.well-known/openid-configuration",
		s.serveOpenIDConfigurationV2,
	)
	mux.HandleFunc("GET /{tenant}/.well-known/openid-configuration", s.serveOpenIDConfigurationV1)
	mux.HandleFunc("GET /{tenant}/discovery/v2.0/keys", s.serveJWKS)
	mux.HandleFunc("GET /{tenant}/discovery/keys", s.serveJWKS)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", s.serveToken)
	s.routeSignIn(mux)
}

func (s *Server) serveMain(w http.ResponseWriter, r *http.Request) {
	s.logRequest(r)
	if !s.waitLatency(r) {
		panic(http.ErrAbortHandler)
	}
	s.route(w, r, strings.TrimSuffix(r.Host, ":443"))
}

// route answers at host. Paths that are not clean are unknown: [http.ServeMux] alone would redirect
// them.
func (s *Server) route(w http.ResponseWriter, r *http.Request, host string) {
	site, ok := s.handlers[host]
	if !ok || path.Clean(r.URL.Path) != r.URL.Path {
		s.serveUnknown(w, r)
		return
	}
	site.ServeHTTP(w, r)
}

// routeSignIn serves what only people need beside the token endpoint.
func (s *Server) routeSignIn(mux *http.ServeMux) {
	mux.HandleFunc("GET /common/UserRealm/{user}", s.serveUserRealm)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/devicecode", s.serveDeviceCode)
	mux.HandleFunc("GET /{tenant}/oauth2/v2.0/authorize", s.serveAuthorize)
	mux.HandleFunc("POST /{tenant}/login", s.serveLogin)
}

const tokenProxyPrefix = "/token-proxy"

// TokenProxyURL is what AZURE_KUBERNETES_TOKEN_PROXY is set to: an AKS identity-binding proxy with
// a listener and a certificate authority of its own, in front of the same Entra ID.
func (s *Server) TokenProxyURL() string { return s.tokenProxyURL }

func (s *Server) serveTokenProxy(w http.ResponseWriter, r *http.Request) {
	s.logRequest(r)
	if !strings.HasPrefix(r.URL.Path, tokenProxyPrefix+"/") || r.Host != entraHosts[0] {
		s.serveUnknown(w, r)
		return
	}
	http.StripPrefix(tokenProxyPrefix, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.route(w, r.WithContext(context.WithValue(r.Context(), tokenProxyKey{}, true)), r.Host)
	})).
		ServeHTTP(w, r)
}
