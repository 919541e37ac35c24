package token

import (
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// azureCLI is whoever is signed in to Azure CLI.
var azureCLI = Method{
	Name:         "azurecli",
	About:        "whoever is signed in to Azure CLI (`az`)",
	Optional:     []string{"tenant-id", "subscription", "server-id", "timeout"},
	SealedWith:   "a key of the user's own, together with who is signed in to `az`",
	FallbackHint: "{tool} has to be on the PATH of whatever runs this program, and signed in: az login",
	Stanza:       Stanza{Flags: []string{"tenant-id", "subscription"}},
	Check: func(r Request) error {
		switch {
		case !redact.IsPlain(r.Subscription+"x", "-_ ."): // azidentity passes it on to a shell
			return usageErrorf(
				"subscription %q%s has characters that az cannot be given: name it by its ID",
				r.Subscription,
				r.sourceNote("subscription"),
			)
		case r.Subscription != "" && r.TenantID != "" && r.setExplicitly("tenant-id"):
			return usageErrorf(
				"--subscription and --tenant-id are both given: az takes one of them, and a subscription has its tenant",
			)
		}
		return nil
	},
	Open: openAzureCLI,
}

// azStateFiles are the files of az's folder that say who is signed in, to which cloud, and which
// subscription is chosen. Renewing tokens does not touch them.
var azStateFiles = []string{"azureProfile.json", "clouds.config", "config"}

func openAzureCLI(r Request, w Options, _ entra.Client) (Login, error) {
	if r.Subscription != "" { // az takes one of them
		r.TenantID = ""
	}
	home, err := azConfigDir(w)
	if err != nil {
		return Login{}, err
	}
	state := hashFiles(home, azStateFiles)
	return Login{
		Secret: w.loadUserKey(),
		Inputs: []string{
			"method=" + r.Login,
			"tenant=" + r.TenantID,
			"subscription=" + r.Subscription,
			"audience=" + r.audience(),
			"home=" + home,
			"state=" + state,
			"cloud=" + w.Getenv(
				azCloudVariable,
			),
			"machine=" + machineID(), // who is signed in may be the machine itself
		},
		InputsChanged: func() bool { return hashFiles(home, azStateFiles) != state },
		NewCredential: func(attempt) (azcore.TokenCredential, error) {
			credential, err := azidentity.NewAzureCLICredential(
				&azidentity.AzureCLICredentialOptions{
					TenantID:     r.TenantID,
					Subscription: r.Subscription,
				},
			)
			return toolCredential{credential}, err
		},
		HintValues: func() map[string]string { return map[string]string{"tool": "az", "authority": ""} },
	}, nil
}

// azCloudVariable wins over the cloud that az's folder names.
const azCloudVariable = "AZURE_CLOUD_NAME"

func azConfigDir(
	w Options,
) (string, error) {
	return toolConfigDir(w, "AZURE_CONFIG_DIR", ".azure")
}
