package token

import (
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// azureDeveloperCLI is whoever is signed in to Azure Developer CLI.
var azureDeveloperCLI = Method{
	Name:     "azd",
	About:    "whoever is signed in to Azure Developer CLI (`azd`)",
	Uses:     []string{"tenant-id", "server-id", "timeout"},
	Presents: "a key of the user's own, together with who is signed in to `azd`",
	Remedy:   "{tool} has to be on the PATH of whatever runs this program, and signed in: azd auth login",
	Stanza:   Stanza{Writes: []string{"tenant-id"}},
	Open:     openAzureDeveloperCLI,
}

// azdState are the files of azd's folder that say who is signed in, and whether az is asked instead.
var azdState = []string{"auth.json", "config.json"}

func openAzureDeveloperCLI(r Request, w World, _ wire) (Login, error) {
	home, err := toolHome(w, "AZD_CONFIG_DIR", ".azd")
	if err != nil {
		return Login{}, err
	}
	az, err := azHome(w)
	if err != nil {
		return Login{}, err
	}
	state := func() string { return stateOf(home, azdState) + " " + stateOf(az, azState) }
	before, key := state(), w.ownKey()
	if w.Getenv("AZD_AUTH_ENDPOINT") != "" { // a program around azd signs in for it, and says nothing of who that is
		key = nil
	}
	return Login{
		Secret: key,
		Inputs: []string{
			"method=" + r.Login, "tenant=" + r.TenantID, "audience=" + r.audience(), "home=" + home, "state=" + before,
			"subscription=" + w.Getenv("AZURE_SUBSCRIPTION_ID"), // azd finds a tenant by it
			"cloud=" + w.Getenv(azCloudVariable), "machine=" + machine(),
		},
		Unsure: func() bool { return state() != before },
		Credential: func(attempt) (azcore.TokenCredential, error) {
			credential, err := azidentity.NewAzureDeveloperCLICredential(&azidentity.AzureDeveloperCLICredentialOptions{TenantID: r.TenantID})
			return toolCredential{credential}, err
		},
		Facts: func() map[string]string { return map[string]string{"tool": "azd", "authority": ""} },
	}, nil
}
