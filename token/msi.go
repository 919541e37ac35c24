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
	TextHints:  metadataHints,
	SealedWith: sealedWithUserKey,
	FallbackHint: "{identity} must be assigned to this virtual machine or service (for example " +
		"with az vm identity assign); {server} can be reached only from there, never through a " +
		"proxy; " +
		"a new assignment takes a minute to work. In a pod use workloadidentity",
	Stanza: Stanza{
		Flags:     []string{"client-id", "identity-resource-id"},
		Exclusive: []string{"client-id", "identity-resource-id"}, // as in kubelogin
	},
	Check: checkIdentityResourceID,
	Open:  openManagedIdentity,
}

const sealedWithUserKey = "a key of the user's own, for this machine only; on App Service and " +
	"Azure ML, with the secret that the service requires"

// notArcHint is for answers that Azure Arc's agent does not give.
const notArcHint = "the service at {server} is not Azure Arc's agent: $IDENTITY_ENDPOINT and " +
	"$IMDS_ENDPOINT contain its address; unset them if this is not a server with Azure Arc"

// metadataHints are hints for errors of metadata services, and for MSAL's errors about Azure Arc's
// agent. The services' errors, besides those that FallbackHint explains:
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling
// https://github.com/davrous/AzureAgentToM365/issues/2 (App Service)
// https://github.com/Azure/CloudShell/issues/516 (Cloud Shell)
// https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication
var metadataHints = []textHint{
	{"Multiple user assigned identities exist", "this machine has several identities: name the one to use with --client-id or --identity-resource-id"},
	{"Unable to load the proper Managed Identity", "{identity} is not assigned to this service: " +
		"assign it (for example with az webapp identity assign or az containerapp identity " +
		"assign), or name an assigned one with --client-id or --identity-resource-id"},
	{"supported MSI token audience", "Azure Cloud Shell issues tokens for only a few " +
		"applications, and AKS is not one of them: run az login there, and use --login azurecli"},
	{"Failed to retrieve token", "{server} got no token from Entra ID: {identity} must be " +
		"enabled on this machine (check with az vm identity show); if it is, see " +
		"https://status.azure.com"},
	{"X-Forwarded-For", "a proxy is between this program and {server}, which must be reached " +
		"directly"},
	{"metadata header", "something between this program and {server} removes the header " +
		"Metadata: requests must not go through a proxy"},
	{"unauthorized_client", "the managed identities of this machine are not set up completely: " +
		"check with az vm identity show, remove {identity} from the machine and assign it again"},
	{"access_denied", "{server} refuses this machine a token of {identity}: check az vm identity " +
		"show, and policies that deny it"},

	{"did not confirm the requested", "Azure Arc's agent on this machine knows only the " +
		"system-assigned identity: leave out --client-id and --identity-resource-id, or update " +
		"the agent"},
	{"platform not supported", notArcHint}, // macOS
	{"invalid file path", notArcHint},
	{"invalid file extension", notArcHint},
	{"expected a 401 response", notArcHint},
	{"azcmagent", arcKeyHint},
	{"AzureConnectedMachineAgent", arcKeyHint},
}

// arcKeyHint is for a key file that cannot be read. Its folder is in its path.
const arcKeyHint = "Azure Arc's agent issues tokens only to users who can read this file: add " +
	"this user to the group himds (on Windows: Hybrid agent extension applications), and start a " +
	"new session; in a container, mount the file's folder"

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

	// metadataIdentityVariables also decide which identity is used.
	metadataIdentityVariables = []string{"DEFAULT_IDENTITY_CLIENT_ID", "IDENTITY_SERVER_THUMBPRINT"}
)

// imdsHostVariable names another address for IMDS.
const imdsHostVariable = "AZURE_POD_IDENTITY_AUTHORITY_HOST"

func checkIdentityResourceID(r Request) error {
	if r.IdentityResourceID != "" && !redact.IsPlain(r.IdentityResourceID, "/-._()") {
		return usageErrorf(
			"--identity-resource-id is %q: it must be /subscriptions/.../userAssignedIdentities/NAME%s",
			r.IdentityResourceID, oddCharacterNote(r.IdentityResourceID),
		)
	}
	return nil
}

// managedIdentityID returns the identity in words and as azidentity expects it. If both IDs are
// given, the client ID is used, as in kubelogin, unless it comes only from the environment.
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
	// The machine is an input: if an image contains the key and the cache, the entries must not be
	// usable on another machine.
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
