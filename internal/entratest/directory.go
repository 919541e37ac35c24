package entratest

import (
	"crypto/x509"
	"maps"
	"slices"
	"strings"
)

// AKSServerID is the application id of the AKS Entra server, the audience of a cluster's tokens. Every tenant knows it,
// and Azure Resource Manager.
const AKSServerID = "6dae42f8-4368-4678-94ff-3960e28e3630"

// An App is an application or a managed identity known in a tenant; on the wire the two are alike.
type App struct {
	Tenant       string // the tenant's GUID
	TenantDomain string // a verified domain by which the tenant may be addressed as well; may be empty
	ClientID     string
	ObjectID     string // the service principal's; derived from ClientID when empty
	Federated    []FederatedCredential
	Secrets      []string            // client secrets, any of which will do
	Certificates []*x509.Certificate // with RSA keys, whose assertions are accepted
	Public       bool                // a public client: people sign in to it, from http://localhost with any port (RFC 8252 section 7.3)
	Groups       []string            // object ids, for the token's groups claim; none, no claim
	ResourceID   string              // of a managed identity in Azure Resource Manager, for the token's xms_mirid; empty, no claim
}

// A FederatedCredential is matched exactly and case-sensitively, trailing slashes included, as Entra does.
type FederatedCredential struct {
	Issuer, Subject string
	Audience        string // empty: api://AzureADTokenExchange
}

// defaultAudience is what Entra recommends, and what every tool asks its issuer for.
const defaultAudience = "api://AzureADTokenExchange"

// directory is who exists. Guarded by Server.mu.
type directory struct {
	tenants map[string]*tenant // by id, in lower case
}

type tenant struct {
	id, domain string
	apps       map[string]App    // by client id, in lower case
	resources  map[string]string // by identifier in lower case, as registered
}

// name is how Entra calls the tenant in its refusals.
func (t *tenant) name() string {
	if t.domain != "" {
		return t.domain
	}
	return t.id
}

// Register adds an application to its tenant, or replaces the one with the same client id. It keeps a copy.
func (s *Server) Register(a App) {
	a.Federated = slices.Clone(a.Federated)
	a.Secrets = slices.Clone(a.Secrets)
	a.Certificates = slices.Clone(a.Certificates)
	a.Groups = slices.Clone(a.Groups)
	for i := range a.Federated {
		if a.Federated[i].Audience == "" {
			a.Federated[i].Audience = defaultAudience
		}
	}
	if a.ObjectID == "" {
		a.ObjectID = objectID(a.ClientID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenant(a.Tenant)
	if a.TenantDomain != "" {
		t.domain = a.TenantDomain
	}
	t.apps[strings.ToLower(a.ClientID)] = a
}

// RegisterResource makes an API known in a tenant, so that scopes may name it. appID is the GUID or the identifier
// URI that comes before "/.default"; it becomes the audience of the tokens.
func (s *Server) RegisterResource(tenant, appID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenant(tenant).resources[strings.ToLower(appID)] = appID
}

// tenant finds or makes a tenant. Called with mu held.
func (s *Server) tenant(id string) *tenant {
	if s.tenants == nil {
		s.tenants = map[string]*tenant{}
	}
	key := strings.ToLower(id)
	if s.tenants[key] == nil {
		resources := map[string]string{AKSServerID: AKSServerID}
		for _, audience := range audiences(slices.Collect(maps.Keys(resourceManagers))...) {
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

// knownClients are Microsoft's public clients, which every tenant knows, each with the family whose refresh tokens it
// may use as well; "" for none.
var knownClients = map[string]string{
	"80faf920-1908-4b52-b5ef-a8e7bedfc67a": "",  // AKS, in every kubeconfig of az aks get-credentials
	"04b07795-8ddb-461a-bbee-02f9e1bf7b46": "1", // the Azure CLI; the Azure Developer CLI uses it too
}

func (s *Server) findApp(tenant, clientID string) (App, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clientID = strings.ToLower(clientID)
	if a, ok := s.tenant(tenant).apps[clientID]; ok {
		return a, true
	}
	_, ok := knownClients[clientID]
	return App{Tenant: tenant, ClientID: clientID, ObjectID: objectID(clientID), Public: true}, ok
}

// findSharedApp finds an application at an endpoint that all tenants share. It is multi-tenant when Microsoft made it
// or more than one tenant knows it.
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

// objectID is that of the service principal of an application that has not got another one.
func objectID(clientID string) string { return guid("object of "+strings.ToLower(clientID), 0) }

func (s *Server) findResource(tenant, asked string) (appID string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	appID, ok = s.tenant(tenant).resources[strings.ToLower(asked)]
	return appID, ok
}
