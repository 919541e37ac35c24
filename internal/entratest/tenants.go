package entratest

import (
	"maps"
	"slices"
	"strings"
)

// name returns the tenant's name in Entra's errors: its domain if it has one, else its GUID.
func (t *tenant) name() string {
	if t.domain != "" {
		return t.domain
	}
	return t.id
}

// Register adds an application to its tenant, or replaces the one with the same client ID. It keeps
// a copy. Tenants need no registration: they begin with their first application, user or resource.
func (s *Server) Register(a App) {
	a.FederatedCredentials = slices.Clone(a.FederatedCredentials)
	a.Secrets = slices.Clone(a.Secrets)
	a.Certificates = slices.Clone(a.Certificates)
	a.Groups = slices.Clone(a.Groups)
	for i := range a.FederatedCredentials {
		if a.FederatedCredentials[i].Audience == "" {
			a.FederatedCredentials[i].Audience = defaultFederatedAudience
		}
	}
	if a.ObjectID == "" {
		a.ObjectID = objectID(a.ClientID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.getOrAddTenant(a.Tenant)
	if a.TenantDomain != "" {
		t.domain = a.TenantDomain
	}
	t.apps[strings.ToLower(a.ClientID)] = a
}

// RegisterResource adds an API to a tenant, so that scopes may name it. appID is the GUID or the
// identifier URI that scopes have before "/.default"; it becomes the audience of tokens.
func (s *Server) RegisterResource(tenant, appID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.getOrAddTenant(tenant).resources[strings.ToLower(appID)] = appID
}

// getOrAddTenant returns the tenant with that GUID, and adds it if necessary. Called with mu held.
func (s *Server) getOrAddTenant(id string) *tenant {
	if s.tenants == nil {
		s.tenants = map[string]*tenant{}
	}
	key := strings.ToLower(id)
	if s.tenants[key] == nil {
		resources := map[string]string{
			AKSServerID: AKSServerID,
			strings.ToLower(defaultFederatedAudience): exchangeAppID,
		}
		for _, audience := range armAudiences(slices.Collect(maps.Keys(armHosts))...) {
			resources[audience] = audience
		}
		s.tenants[key] = &tenant{id: key, apps: map[string]App{}, resources: resources}
	}
	return s.tenants[key]
}

// findTenant finds a tenant by its GUID or its domain, and returns its GUID and its name.
func (s *Server) findTenant(idOrDomain string) (id, name string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tenants {
		if strings.EqualFold(idOrDomain, t.id) ||
			t.domain != "" && strings.EqualFold(idOrDomain, t.domain) {
			return t.id, t.name(), true
		}
	}
	return "", "", false
}

// findApp finds an application of a tenant. Microsoft's public clients are in every tenant.
func (s *Server) findApp(tenant, clientID string) (App, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clientID = strings.ToLower(clientID)
	if a, ok := s.getOrAddTenant(tenant).apps[clientID]; ok {
		return a, true
	}
	_, ok := knownClients[clientID]
	return App{Tenant: tenant, ClientID: clientID, ObjectID: objectID(clientID), Public: true}, ok
}

// findSharedApp finds an application for an endpoint that all tenants share. It is multi-tenant if
// it is Microsoft's or registered in more than one tenant.
func (s *Server) findSharedApp(clientID string) (a App, multiTenant, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clientID = strings.ToLower(clientID)
	if _, known := knownClients[clientID]; known {
		return App{ClientID: clientID, Public: true}, true, true
	}
	for _, t := range s.tenants {
		if app, registered := t.apps[clientID]; registered {
			a, multiTenant, ok = app, ok, true
		}
	}
	return a, multiTenant, ok
}

// findResource returns the audience of tokens for a resource of a tenant.
func (s *Server) findResource(tenant, resource string) (audience string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	audience, ok = s.getOrAddTenant(tenant).resources[strings.ToLower(resource)]
	return audience, ok
}
