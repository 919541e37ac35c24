package entratest

import (
	"context"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
)

// newHandlers returns the handler of each Host header. The loopback names serve everything.
func (s *Server) newHandlers() map[string]http.Handler {
	entra, github, pipelines := http.NewServeMux(), http.NewServeMux(), http.NewServeMux()
	loopback := http.NewServeMux()
	s.routeEntra(entra)
	s.routeEntra(loopback)
	s.routeGitHub(github)
	s.routeGitHub(loopback)
	s.routePipelines(pipelines)
	s.routePipelines(loopback)
	handlers := map[string]http.Handler{gitHubHost: github, pipelinesHost: pipelines}
	muxes := []*http.ServeMux{entra, github, pipelines, loopback}
	for host := range armHosts {
		arm := http.NewServeMux()
		s.routeResourceManager(arm, armAudiences(host))
		handlers[host], muxes = arm, append(muxes, arm)
	}
	s.routeResourceManager(loopback, armAudiences(slices.Sorted(maps.Keys(armHosts))...))
	for _, host := range entraHosts {
		handlers[host] = entra
	}
	for _, host := range s.loopbackHosts {
		handlers[host] = loopback
	}
	for _, mux := range muxes {
		mux.HandleFunc("/", s.serveUnknown)
	}
	return handlers
}

func (s *Server) routeEntra(mux *http.ServeMux) {
	const openIDConfiguration = "/.well-known/openid-configuration"
	mux.HandleFunc("GET /common/discovery/instance", s.serveInstanceDiscovery)
	mux.HandleFunc("GET /{tenant}/v2.0"+openIDConfiguration, s.serveOpenIDConfigurationV2)
	mux.HandleFunc("GET /{tenant}"+openIDConfiguration, s.serveOpenIDConfigurationV1)
	mux.HandleFunc("GET /{tenant}/discovery/v2.0/keys", s.serveJWKS)
	mux.HandleFunc("GET /{tenant}/discovery/keys", s.serveJWKS)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", s.serveToken)
	s.routeSignIn(mux)
}

// routeSignIn adds the endpoints that only logins of people use.
func (s *Server) routeSignIn(mux *http.ServeMux) {
	mux.HandleFunc("GET /common/UserRealm/{user}", s.serveUserRealm)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/devicecode", s.serveDeviceCode)
	mux.HandleFunc("GET /{tenant}/oauth2/v2.0/authorize", s.serveAuthorize)
	mux.HandleFunc("POST /{tenant}/login", s.serveLogin)
}

func (s *Server) serveMain(w http.ResponseWriter, r *http.Request) {
	s.logRequest(r)
	if !s.waitLatency(r) {
		panic(http.ErrAbortHandler)
	}
	s.route(w, r, strings.TrimSuffix(r.Host, ":443"))
}

// route serves a request as host. A path that is not clean is unknown; [http.ServeMux] would
// redirect it.
func (s *Server) route(w http.ResponseWriter, r *http.Request, host string) {
	handler, ok := s.handlers[host]
	if !ok || path.Clean(r.URL.Path) != r.URL.Path {
		s.serveUnknown(w, r)
		return
	}
	handler.ServeHTTP(w, r)
}

const tokenProxyPrefix = "/token-proxy"

// TokenProxyURL returns a value for AZURE_KUBERNETES_TOKEN_PROXY. It addresses an AKS identity
// binding proxy in front of the same Entra ID, with a listener and a certificate authority of its
// own.
func (s *Server) TokenProxyURL() string { return s.tokenProxyURL }

func (s *Server) serveTokenProxy(w http.ResponseWriter, r *http.Request) {
	s.logRequest(r)
	if !strings.HasPrefix(r.URL.Path, tokenProxyPrefix+"/") || r.Host != entraHosts[0] {
		s.serveUnknown(w, r)
		return
	}
	entra := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.WithValue(r.Context(), tokenProxyKey{}, true)
		s.route(w, r.WithContext(ctx), r.Host)
	})
	http.StripPrefix(tokenProxyPrefix, entra).ServeHTTP(w, r)
}
