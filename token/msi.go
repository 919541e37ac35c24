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

// managedIdentity asks the machine that it runs on (IMDS), or the service (App Service, Container
// Apps, Azure Arc and others).
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
	FallbackHint: "{identity} has to be assigned to this virtual machine or service (as by: az vm identity assign), and {asked} is reached from there only, never through a proxy; " +
		"a new assignment takes a minute. In a pod use workloadidentity",
	Stanza: Stanza{Flags: []string{"client-id", "identity-resource-id"}},
	Check: func(r Request) error {
		if r.IdentityResourceID != "" && !redact.IsPlain(r.IdentityResourceID, "/-._()") {
			return usageErrorf(
				"--identity-resource-id is %q: it must be /subscriptions/.../userAssignedIdentities/NAME",
				r.IdentityResourceID,
			)
		}
		return nil
	},
	Open: openManagedIdentity,
}

// metadataEndpointVariables say where a service other than IMDS is asked, by which MSAL chooses,
// and where IMDS is if it is elsewhere, which Azure's SDKs in other languages read;
// metadataSecretVariables are what such a service is shown, and metadataIdentityVariables what else
// decides who it is.
var (
	metadataEndpointVariables = []string{
		imdsHostVariable,
		"IMDS_ENDPOINT",
		"MSI_ENDPOINT",
		"IDENTITY_ENDPOINT",
	}
	metadataSecretVariables   = []string{"IDENTITY_HEADER", "MSI_SECRET"}
	metadataIdentityVariables = []string{"DEFAULT_IDENTITY_CLIENT_ID", "IDENTITY_SERVER_THUMBPRINT"}
)

const (
	imdsHostVariable = "AZURE_POD_IDENTITY_AUTHORITY_HOST"

	systemAssignedText = "the system-assigned identity"
)

// openManagedIdentity takes the client ID where both are given, as kubelogin does, unless the
// resource ID was written down and the client ID is just in the air.
func openManagedIdentity(r Request, w Options, _ entra.Client) (Login, error) {
	identity, id := systemAssignedText, azidentity.ManagedIDKind(nil)
	switch {
	case r.IdentityResourceID != "" && (r.ClientID == "" || !r.setExplicitly("client-id")):
		identity, id = "the identity with the resource ID "+r.IdentityResourceID, azidentity.ResourceID(
			r.IdentityResourceID,
		)
	case r.ClientID != "":
		identity, id = "the identity with the client ID "+r.ClientID, azidentity.ClientID(
			r.ClientID,
		)
	}
	// An image may have the key and the cache baked in: they are worth nothing on another machine.
	inputs := []string{
		"method=" + r.Login,
		"identity=" + identity,
		"audience=" + r.audience(),
		"machine=" + machineID(),
	}
	asked, secret := "http://"+entra.IMDSHost+"/", w.loadUserKey()
	for _, name := range slices.Concat(metadataEndpointVariables, metadataIdentityVariables) {
		if value := w.Getenv(name); value != "" {
			sum := sha256.Sum256(
				[]byte(value),
			) // an address may have more in it than should be readable
			inputs = append(inputs, name+"="+hex.EncodeToString(sum[:8]))
			if slices.Contains(metadataEndpointVariables, name) {
				asked = redact.URL(value)
			}
		}
	}
	for _, name := range metadataSecretVariables {
		if value := w.Getenv(name); value != "" && secret != nil {
			secret = slices.Concat(secret, []byte("\x00"+name+"="+value))
		}
	}
	var imds *url.URL
	if elsewhere := w.Getenv(imdsHostVariable); elsewhere != "" {
		var err error
		if imds, err = url.Parse(
			elsewhere,
		); err != nil || imds.Host == "" ||
			imds.Scheme != "http" && imds.Scheme != "https" {
			return Login{}, usageErrorf(
				"$%s is %q: it must be http://HOST",
				imdsHostVariable,
				redact.URL(elsewhere),
			)
		}
	}
	return Login{
		Secret: secret,
		Inputs: inputs,
		NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			return azidentity.NewManagedIdentityCredential(
				&azidentity.ManagedIdentityCredentialOptions{
					ClientOptions: entra.MetadataOptions(a.LastOutcome, imds, a.Client.Backoff),
					ID:            id,
				},
			)
		},
		HintValues: func() map[string]string {
			return map[string]string{"identity": identity, "authority": asked}
		},
	}, nil
}
