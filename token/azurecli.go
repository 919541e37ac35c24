package token

import (
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// azureCLI is whoever is signed in to Azure CLI.
var azureCLI = Method{
	Name:     "azurecli",
	About:    "whoever is signed in to Azure CLI (`az`)",
	Uses:     []string{"tenant-id", "subscription", "server-id", "timeout"},
	Presents: "a key of the user's own, together with who is signed in to `az`",
	Remedy:   "{tool} has to be on the PATH of whatever runs this program, and signed in: az login",
	Stanza:   Stanza{Writes: []string{"tenant-id", "subscription"}},
	Check: func(r Request) error {
		switch {
		case !plain(r.Subscription+"x", "-_ ."): // azidentity passes it on to a shell
			return usage("subscription %q%s has characters that az cannot be given: name it by its ID", r.Subscription, r.from("subscription"))
		case r.Subscription != "" && r.TenantID != "" && r.written("tenant-id"):
			return usage("--subscription and --tenant-id are both given: az takes one of them, and a subscription has its tenant")
		}
		return nil
	},
	Open: openAzureCLI,
}

// azState are the files of az's folder that say who is signed in, to which cloud, and which subscription is chosen. Renewing tokens does not
// touch them.
var azState = []string{"azureProfile.json", "clouds.config", "config"}

func openAzureCLI(r Request, w World, _ wire) (Login, error) {
	if r.Subscription != "" { // az takes one of them
		r.TenantID = ""
	}
	home, err := azHome(w)
	if err != nil {
		return Login{}, err
	}
	state := stateOf(home, azState)
	return Login{
		Secret: w.ownKey(),
		Inputs: []string{
			"method=" + r.Login, "tenant=" + r.TenantID, "subscription=" + r.Subscription, "audience=" + r.audience(), "home=" + home, "state=" + state,
			"cloud=" + w.Getenv(azCloudVariable), "machine=" + machine(), // who is signed in may be the machine itself
		},
		Unsure: func() bool { return stateOf(home, azState) != state },
		Credential: func(attempt) (azcore.TokenCredential, error) {
			credential, err := azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: r.TenantID, Subscription: r.Subscription})
			return toolCredential{credential}, err
		},
		Facts: func() map[string]string { return map[string]string{"tool": "az", "authority": ""} },
	}, nil
}

// azCloudVariable wins over the cloud that az's folder names.
const azCloudVariable = "AZURE_CLOUD_NAME"

func azHome(w World) (string, error) { return toolHome(w, "AZURE_CONFIG_DIR", ".azure") }
