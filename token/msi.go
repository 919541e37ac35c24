package token

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// managedIdentity gets tokens from the virtual machine's metadata service (IMDS), or from that of
// an Azure service such as App Service, Container Apps or Azure Arc.
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
var managedIdentity = Method{
	Name:          "msi",
	About:         "the managed identity of a virtual machine or an Azure service",
	Optional:      []string{"client-id", "identity-resource-id", "server-id", "timeout"},
	IdentityFlags: []string{"client-id"},
	Hints: map[int]string{
		500011: "server ID {audience} is not known in the identity's tenant: leave --server-id out for AKS",
	},
	SealedWith: "a key of the user's own, for this machine only; on App Service and Azure ML, with the secret that the service wants",
	FallbackHint: "{identity} has to be assigned to this virtual machine or service (as by: az vm identity assign), and {server} is reached from there only, never through a proxy; " +
		"a new assignment takes a minute. In a pod use workloadidentity",
	Stanza: Stanza{
		Flags:     []string{"client-id", "identity-resource-id"},
		Exclusive: []string{"client-id", "identity-resource-id"}, // as in kubelogin
	},
	Check: checkIdentityResourceID,
	Open:  openManagedIdentity,
}

// Variables of the metadata services.
var (
	// metadataEndpointVariables name the service's address. MSAL chooses a service other than IMDS
	// by the last three. The first is read by Azure's SDKs in other languages, for IMDS.
	metadataEndpointVariables = []string{
		imdsHostVariable,
		"IMDS_ENDPOINT",
		"MSI_ENDPOINT",
		"IDENTITY_ENDPOINT",
	}

	// metadataSecretVariables hold secrets that a service requires.
	metadataSecretVariables = []string{"IDENTITY_HEADER", "MSI_SECRET"}

	// metadataIdentityVariables decide further which identity is used.
	metadataIdentityVariables = []string{"DEFAULT_IDENTITY_CLIENT_ID", "IDENTITY_SERVER_THUMBPRINT"}
)

// imdsHostVariable names another address for IMDS.
const imdsHostVariable = "AZURE_POD_IDENTITY_AUTHORITY_HOST"

func checkIdentityResourceID(r Request) error {
	if r.IdentityResourceID != "" && !redact.IsPlain(r.IdentityResourceID, "/-._()") {
		return usageErrorf(
			"--identity-resource-id is %q: it must be /subscriptions/.../userAssignedIdentities/NAME",
			r.IdentityResourceID,
		)
	}
	return nil
}

// managedIdentityID returns the identity in words and as azidentity wants it. If both IDs are given
// the client ID wins, as in kubelogin, unless it comes only from the environment.
func (r Request) managedIdentityID() (text string, id azidentity.ManagedIDKind) {
	switch {
	case r.IdentityResourceID != "" && (r.ClientID == "" || !r.setExplicitly("client-id")):
		text = "the identity with the resource ID " + r.IdentityResourceID
		return text, azidentity.ResourceID(r.IdentityResourceID)
	case r.ClientID != "":
		return "the identity with the client ID " + r.ClientID, azidentity.ClientID(r.ClientID)
	}
	return "the system-assigned identity", nil
}

func openManagedIdentity(r Request, opts Options, _ entra.Client) (Login, error) {
	imds, err := imdsAddress(opts)
	if err != nil {
		return Login{}, err
	}
	identity, id := r.managedIdentityID()
	// The machine counts: an image may contain key and cache, which must not work elsewhere.
	inputs := []string{
		"method=" + r.Login,
		"identity=" + identity,
		"audience=" + r.audience(),
		"machine=" + machineID(),
	}
	service, secret := "http://"+entra.IMDSHost+"/", opts.loadUserKey()
	for _, name := range slices.Concat(metadataEndpointVariables, metadataIdentityVariables) {
		value := opts.Getenv(name)
		if value == "" {
			continue
		}
		// The value is hashed, because an address may hold a password and inputs are not secret.
		sum := sha256.Sum256([]byte(value))
		inputs = append(inputs, name+"="+hex.EncodeToString(sum[:8]))
		if slices.Contains(metadataEndpointVariables, name) {
			service = redact.URL(value)
		}
	}
	for _, name := range metadataSecretVariables {
		if value := opts.Getenv(name); value != "" && secret != nil {
			secret = slices.Concat(secret, []byte("\x00"+name+"="+value))
		}
	}
	return Login{
		Secret: secret,
		Inputs: inputs,
		NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			return azidentity.NewManagedIdentityCredential(
				&azidentity.ManagedIdentityCredentialOptions{
					ClientOptions: entra.MetadataOptions(a.LastOutcome, imds, a.Backoff),
					ID:            id,
				},
			)
		},
		HintValues: func() map[string]string {
			return map[string]string{"identity": identity, "authority": service}
		},
	}, nil
}

// imdsAddress returns IMDS's address if it is not the usual one, and otherwise nil.
func imdsAddress(opts Options) (*url.URL, error) {
	address := opts.Getenv(imdsHostVariable)
	if address == "" {
		return nil, nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usageErrorf(
			"$%s is %q: it must be http://HOST", imdsHostVariable, redact.URL(address),
		)
	}
	return u, nil
}
