package entratest

import (
	"maps"
	"slices"
	"strings"
)

// name is how Entra calls the tenant in its refusals.
func (t *tenant) name() string {
	if t.domain != "" {
		return t.domain
	}
	return t.id
}

// Register adds an application to its tenant, or replaces the one with the same client id. It keeps
// a copy.
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

// RegisterResource makes an API known in a tenant, so that scopes may name it. appID is the GUID or
// the identifier URI that comes before "/.default"; it becomes the audience of the tokens.
func (s *Server) RegisterResource(tenant, appID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.getOrAddTenant(tenant).resources[strings.ToLower(appID)] = appID
}

// getOrAddTenant finds or makes a tenant. Called with mu held.
func (s *Server) getOrAddTenant(id string) *tenant {
	if s.tenants == nil {
		s.tenants = map[string]*tenant{}
	}
	key := strings.ToLower(id)
	if s.tenants[key] == nil {
		resources := map[string]string{AKSServerID: AKSServerID}
		for _, audience := range armAudiences(slices.Collect(maps.Keys(armHosts))...) {
			resources[audience] = audience
		}
		s.tenants[key] = &tenant{id: key, apps: map[string]App{}, resources: resources}
	}
	return s.tenants[key]
}

// findTenant returns the id and the name of the tenant addressed by its GUID or its domain.
func (s *Server) findTenant(asked string) (id, name string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tenants {
		if strings.EqualFold(asked, t.id) || t.domain != "" && strings.EqualFold(asked, t.domain) {
			return t.id, t.name(), true
		}
	}
	return "", "", false
}

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

// findSharedApp finds an application at an endpoint that all tenants share. It is multi-tenant when
// Microsoft made it or more than one tenant knows it.
func (s *Server) findSharedApp(clientID string) (a App, multiTenant, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clientID = strings.ToLower(clientID)
	if _, known := knownClients[clientID]; known {
		return App{ClientID: clientID, Public: true}, true, true
	}
	for _, t := range s.tenants {
		if found, there := t.apps[clientID]; there {
			a, multiTenant, ok = found, ok, true
		}
	}
	return a, multiTenant, ok
}

func (s *Server) findResource(tenant, asked string) (appID string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	appID, ok = s.getOrAddTenant(tenant).resources[strings.ToLower(asked)]
	return appID, ok
}
