package entratest

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// AKSServerID is the application ID of the AKS Entra server, the audience of a cluster's tokens. It
// is a resource of every tenant, and so is Azure Resource Manager.
const AKSServerID = "6dae42f8-4368-4678-94ff-3960e28e3630"

// An App is an application or a managed identity of a tenant; they behave alike at the token
// endpoint. FederatedCredentials, Secrets and Certificates are for tokens of the application itself
// (grant_type client_credentials). Public is for the sign-in of users: by device code, in a browser
// with an authorization code, or by password.
//
// The public clients of AKS and of the Azure CLI are in every tenant without registration.
type App struct {
	Tenant               string // the tenant's GUID
	TenantDomain         string // a verified domain that also addresses the tenant; may be empty
	ClientID             string // GUID
	ObjectID             string // of the service principal; "" derives one from ClientID
	FederatedCredentials []FederatedCredential
	Secrets              []string            // valid client secrets
	Certificates         []*x509.Certificate // valid certificates, with RSA keys
	Public               bool                // redirects to http://localhost with any port

	// RegisteredIn is the GUID of the tenant that the application is registered in, if it has only
	// a service principal in Tenant; "" means that it is registered in Tenant.
	RegisteredIn string

	Groups     []string // object IDs, the token's groups claim; empty means no claim
	ResourceID string   // of a managed identity, the token's xms_mirid claim; "" means no claim
}

// A FederatedCredential matches federated tokens that have its issuer, its subject and its
// audience. As in Entra, case and trailing slashes matter.
type FederatedCredential struct {
	Issuer, Subject string
	Audience        string // "" means api://AzureADTokenExchange
}

// defaultFederatedAudience is the audience that Entra recommends and that tools request.
const defaultFederatedAudience = "api://AzureADTokenExchange"

// exchangeAppID is the application that defaultFederatedAudience names. Tokens of Entra ID for it
// have this audience, while federated credentials have the name.
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
const exchangeAppID = "fb60f99c-7a34-4190-8149-302f77469936"

// knownClients are Microsoft's public clients, which exist in every tenant. The value is the family
// of clients that share refresh tokens; "" means none.
var knownClients = map[string]string{
	"80faf920-1908-4b52-b5ef-a8e7bedfc67a": "",  // AKS, in kubeconfigs of az aks get-credentials
	"04b07795-8ddb-461a-bbee-02f9e1bf7b46": "1", // Azure CLI and Azure Developer CLI
}

// A User is a person's account in a tenant. Names are unique in all tenants, ignoring case.
type User struct {
	Tenant   string // the tenant's GUID
	Name     string // user principal name, like alice@contoso.example
	Password string
	ObjectID string   // "" derives one from Name
	Groups   []string // object IDs, the token's groups claim; empty means no claim
	MFA      bool     // needs a second factor; logins without a prompt fail with AADSTS50076
	AADSTS   int      // code that logins with valid credentials fail with; 0 means none
}

// authMethods returns the amr claim.
func (u *User) authMethods() []string {
	if u.MFA {
		return []string{"pwd", "mfa"}
	}
	return []string{"pwd"}
}

func (u *User) displayName() string {
	name, _, _ := strings.Cut(u.Name, "@")
	return name
}

// pairwiseSubject returns the user's sub claim for an audience. Each audience gets another one.
func pairwiseSubject(u *User, audience string) string {
	return opaque("subject "+u.ObjectID+" "+strings.ToLower(audience), 0)
}

// clientInfo returns the client_info by which MSAL caches the user's account: base64url of JSON.
func (u *User) clientInfo() string {
	raw, err := json.Marshal(map[string]string{"uid": u.ObjectID, "utid": u.Tenant})
	if err != nil {
		panic(err) // two strings always marshal
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// A ManagedIdentity is an identity of the machine that [Server.IMDSURL] serves. App.ResourceID is
// its Azure resource ID. A system-assigned identity has the machine's ID there, by which clients
// cannot select it.
type ManagedIdentity struct {
	App
	SystemAssigned bool
}

// A Cluster is an AKS cluster in Azure Resource Manager.
type Cluster struct {
	Tenant string // GUID of the tenant of its subscription

	// ID is the Azure resource ID, which begins with /subscriptions/GUID/resourceGroups/NAME and
	// continues with /providers/Microsoft.ContainerService/managedClusters/NAME.
	ID string

	// Users have the role "Azure Kubernetes Service Cluster User Role". Each is the client ID of an
	// application or the name of a user, and is compared ignoring case.
	Users []string

	Kubeconfig       string
	PublicKubeconfig string // for requests with server-fqdn=public; "" means Kubeconfig
}

// A ServiceConnection is a service connection of Azure DevOps with workload identity federation.
type ServiceConnection struct {
	ID           string // GUID
	Organization string // name
	Project      string
	Name         string

	// Issuer and Subject are claims of its ID tokens. If empty they are those of the Azure DevOps
	// issuer, which is retired on 1 July 2027: https://vstoken.dev.azure.com/ORGANIZATION-GUID and
	// sc://ORGANIZATION/PROJECT/NAME. Newer connections have the Entra issuer,
	// https://login.microsoftonline.com/TENANT/v2.0, and an opaque subject that begins with
	// /eid1/c/pub/t/.
	// https://learn.microsoft.com/azure/devops/pipelines/release/convert-service-connections
	Issuer, Subject string
}

func (c ServiceConnection) withDefaults() ServiceConnection {
	if c.Issuer == "" {
		c.Issuer = pipelinesIssuerURL + guid("organization "+c.Organization, 0)
	}
	if c.Subject == "" {
		c.Subject = "sc://" + c.Organization + "/" + c.Project + "/" + c.Name
	}
	return c
}

// FederatedCredential returns the federated credential that the connection's application needs.
func (c ServiceConnection) FederatedCredential() FederatedCredential {
	c = c.withDefaults()
	return FederatedCredential{Issuer: c.Issuer, Subject: c.Subject}
}
