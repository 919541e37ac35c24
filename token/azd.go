package token

import (
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/akslogin/akslogin/token/internal/entra"
)

// azureDeveloperCLI is whoever is signed in to Azure Developer CLI.
var azureDeveloperCLI = Method{
	Name:         "azd",
	About:        "whoever is signed in to Azure Developer CLI (`azd`)",
	Optional:     []string{"tenant-id", "server-id", "timeout"},
	SealedWith:   "a key of the user's own, together with who is signed in to `azd`",
	FallbackHint: "{tool} has to be on the PATH of whatever runs this program, and signed in: azd auth login",
	Stanza:       Stanza{Flags: []string{"tenant-id"}},
	Open:         openAzureDeveloperCLI,
}

// azdStateFiles are the files of azd's folder that say who is signed in, and whether az is asked
// instead.
var azdStateFiles = []string{"auth.json", "config.json"}

func openAzureDeveloperCLI(r Request, w Options, _ entra.Client) (Login, error) {
	home, err := toolConfigDir(w, "AZD_CONFIG_DIR", ".azd")
	if err != nil {
		return Login{}, err
	}
	az, err := azConfigDir(w)
	if err != nil {
		return Login{}, err
	}
	state := func() string { return hashFiles(home, azdStateFiles) + " " + hashFiles(az, azStateFiles) }
	before, key := state(), w.loadUserKey()
	if w.Getenv(
		"AZD_AUTH_ENDPOINT",
	) != "" { // a program around azd signs in for it, and says nothing of who that is
		key = nil
	}
	return Login{
		Secret: key,
		Inputs: []string{
			"method=" + r.Login,
			"tenant=" + r.TenantID,
			"audience=" + r.audience(),
			"home=" + home,
			"state=" + before,
			"subscription=" + w.Getenv("AZURE_SUBSCRIPTION_ID"), // azd finds a tenant by it
			"cloud=" + w.Getenv(azCloudVariable),
			"machine=" + machineID(),
		},
		InputsChanged: func() bool { return state() != before },
		NewCredential: func(attempt) (azcore.TokenCredential, error) {
			credential, err := azidentity.NewAzureDeveloperCLICredential(
				&azidentity.AzureDeveloperCLICredentialOptions{TenantID: r.TenantID},
			)
			return toolCredential{credential}, err
		},
		HintValues: func() map[string]string { return map[string]string{"tool": "azd", "authority": ""} },
	}, nil
}
