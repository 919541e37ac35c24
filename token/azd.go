package token

import (
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// azureDeveloperCLI gets tokens from Azure Developer CLI, for the account that is signed in there.
var azureDeveloperCLI = Method{
	Name:         "azd",
	About:        "whoever is signed in to Azure Developer CLI (`azd`)",
	Optional:     []string{"tenant-id", "server-id", "timeout"},
	SealedWith:   "a key of the user's own, together with who is signed in to `azd`",
	FallbackHint: "{tool} has to be on the PATH of whatever runs this program, and signed in: azd auth login",
	Stanza:       Stanza{Flags: []string{"tenant-id"}},
	Open:         openAzureDeveloperCLI,
}

// azdStateFiles are the files in azd's folder that identify the signed-in account and say whether
// azd delegates to az.
var azdStateFiles = []string{"auth.json", "config.json"}

func openAzureDeveloperCLI(r Request, opts Options, _ entra.Client) (Login, error) {
	azdDir, err := toolConfigDir(opts, "AZD_CONFIG_DIR", ".azd")
	if err != nil {
		return Login{}, err
	}
	azDir, err := azConfigDir(opts)
	if err != nil {
		return Login{}, err
	}
	state := func() string {
		return hashFiles(azdDir, azdStateFiles) + " " + hashFiles(azDir, azStateFiles)
	}
	before, key := state(), opts.loadUserKey()
	if opts.Getenv("AZD_AUTH_ENDPOINT") != "" {
		// The program that runs azd signs in for it, and does not say with which account.
		key = nil
	}
	return Login{
		Secret: key,
		Inputs: []string{
			"method=" + r.Login,
			"tenant=" + r.TenantID,
			"audience=" + r.audience(),
			"home=" + azdDir,
			"state=" + before,
			"subscription=" + opts.Getenv("AZURE_SUBSCRIPTION_ID"), // azd finds the tenant by it
			"cloud=" + opts.Getenv(azCloudVariable),
			"machine=" + machineID(),
		},
		InputsChanged: func() bool { return state() != before },
		NewCredential: func(attempt) (azcore.TokenCredential, error) {
			credential, err := azidentity.NewAzureDeveloperCLICredential(
				&azidentity.AzureDeveloperCLICredentialOptions{TenantID: r.TenantID},
			)
			return toolCredential{credential}, err
		},
		HintValues: toolHintValues("azd"),
	}, nil
}
