package token

import (
	"encoding/json"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// azureDeveloperCLI gets tokens from Azure Developer CLI, for the account that is signed in there.
var azureDeveloperCLI = Method{
	Name:       "azd",
	About:      "the account that is signed in to Azure Developer CLI (`azd`)",
	Optional:   []string{"tenant-id", "server-id", "timeout"},
	SealedWith: "a key of the user's own, together with who is signed in to `azd`",
	FallbackHint: "{tool} must be on the PATH of the process that runs this program, and signed " +
		"in: azd auth login",
	Stanza:    Stanza{Flags: []string{"tenant-id"}, Inherited: []string{"tenant-id"}},
	UnmetNeed: func(Request, func(string) string) string { return missingProgram("azd") },
	Open:      openAzureDeveloperCLI,
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
		// The program that serves this address signs in for azd, and does not say with which
		// account.
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
		NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			return toolCredential{a.Options, azdArgs(r), parseAzdToken}, nil
		},
		HintValues: toolHintValues("azd"),
	}, nil
}

func azdArgs(r Request) []string {
	scope := r.audience() + "/.default"
	args := []string{"azd", "auth", "token", "-o", "json", "--no-prompt", "--scope", scope}
	if r.TenantID != "" {
		args = append(args, "--tenant-id", r.TenantID)
	}
	return args
}

func parseAzdToken(stdout []byte) (azcore.AccessToken, error) {
	var t struct {
		Token     string    `json:"token"`
		ExpiresOn time.Time `json:"expiresOn"`
	}
	if err := json.Unmarshal(stdout, &t); err != nil {
		return azcore.AccessToken{}, err
	}
	return azcore.AccessToken{Token: t.Token, ExpiresOn: t.ExpiresOn}, nil
}
