package entratest

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// AKSServerID is the application id of the AKS Entra server, the audience of a cluster's tokens.
// Every tenant knows it, and Azure Resource Manager.
const AKSServerID = "6dae42f8-4368-4678-94ff-3960e28e3630"

// An App is an application or a managed identity known in a tenant; on the wire the two are alike.
type App struct {
	Tenant               string // the tenant's GUID
	TenantDomain         string // a verified domain by which the tenant may be addressed as well; may be empty
	ClientID             string
	ObjectID             string // the service principal's; derived from ClientID when empty
	FederatedCredentials []FederatedCredential
	Secrets              []string            // client secrets, any of which will do
	Certificates         []*x509.Certificate // with RSA keys, whose assertions are accepted
	Public               bool                // a public client: people sign in to it, from http://localhost with any port (RFC 8252 section 7.3)
	Groups               []string            // object ids, for the token's groups claim; none, no claim
	ResourceID           string              // of a managed identity in Azure Resource Manager, for the token's xms_mirid; empty, no claim
}

// A FederatedCredential is matched exactly and case-sensitively, trailing slashes included, as
// Entra does.
type FederatedCredential struct {
	Issuer, Subject string
	Audience        string // empty: api://AzureADTokenExchange
}

// defaultFederatedAudience is what Entra recommends, and what every tool asks its issuer for.
const defaultFederatedAudience = "api://AzureADTokenExchange"

// knownClients are Microsoft's public clients, which every tenant knows, each with the family whose
// refresh tokens it may use as well; "" for none.
var knownClients = map[string]string{
	"80faf920-1908-4b52-b5ef-a8e7bedfc67a": "",  // AKS, in every kubeconfig of az aks get-credentials
	"04b07795-8ddb-461a-bbee-02f9e1bf7b46": "1", // the Azure CLI; the Azure Developer CLI uses it too
}

// A User is a person known in a tenant.
type User struct {
	Tenant   string // the tenant's GUID
	Name     string // the user principal name, like alice@contoso.example; no two of all tenants are the same in lower case
	Password string
	ObjectID string   // derived from Name when empty
	Groups   []string // object ids, for the token's groups claim; none, no claim
	MFA      bool     // a password alone is not enough: AADSTS50076 where nobody could be asked for more
	AADSTS   int      // the AADSTS code that meets whoever comes with the right password, or with a refresh token; 0: none
}

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

// pairwiseSubject is the subject by which an application knows a person, and no other application
// does.
func pairwiseSubject(u *User, audience string) string {
	return opaque("subject "+u.ObjectID+" "+strings.ToLower(audience), 0)
}

// clientInfo names a person's account at home, for the cache of MSAL.
func (u *User) clientInfo() string {
	raw, err := json.Marshal(map[string]string{"uid": u.ObjectID, "utid": u.Tenant})
	if err != nil {
		panic(err) // two strings
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// A ManagedIdentity is an App that the machine in front of [Server.IMDSURL] can be. App.ResourceID
// names it in Azure Resource Manager; a system-assigned one has that of the machine, which nobody
// can ask for.
type ManagedIdentity struct {
	App
	SystemAssigned bool
}

// A Cluster is an AKS cluster that Azure Resource Manager knows.
type Cluster struct {
	Tenant string   // of its subscription: the tenant's GUID
	ID     string   // /subscriptions/GUID/resourceGroups/NAME/providers/Microsoft.ContainerService/managedClusters/NAME
	Users  []string // client IDs, or names of people, with the role "Azure Kubernetes Service Cluster User Role" on it

	Kubeconfig       string
	PublicKubeconfig string // what server-fqdn=public gives; empty: Kubeconfig
}

// A ServiceConnection is one of Azure DevOps that uses workload identity federation.
type ServiceConnection struct {
	ID           string // its GUID
	Organization string // its name
	Project      string
	Name         string

	// The claims of its ID tokens. Empty ones are the Azure DevOps issuer's,
	// https://vstoken.dev.azure.com/ORGANIZATION-GUID and sc://ORGANIZATION/PROJECT/NAME, which is
	// retired on 1 July 2027; newer connections have the Entra issuer's,
	// https://login.microsoftonline.com/TENANT/v2.0 and an opaque subject that begins with /eid1/c/pub/t/.
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

// FederatedCredential is the federated credential that an application needs for the connection.
func (c ServiceConnection) FederatedCredential() FederatedCredential {
	c = c.withDefaults()
	return FederatedCredential{Issuer: c.Issuer, Subject: c.Subject}
}
