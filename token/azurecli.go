package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

// azureCLI gets tokens from Azure CLI, for the account that is signed in there.
var azureCLI = Method{
	Name:       "azurecli",
	About:      "the account that is signed in to Azure CLI (`az`)",
	Optional:   []string{"tenant-id", "subscription", "server-id", "timeout"},
	SealedWith: "a key of the user's own, together with who is signed in to `az`",
	FallbackHint: "{tool} must be on the PATH of the process that runs this program, and signed " +
		"in: az login",
	Stanza: Stanza{
		Flags:             []string{"tenant-id", "subscription"},
		Inherited:         []string{"tenant-id"},                 // az's active account may be of another tenant
		Exclusive:         []string{"subscription", "tenant-id"}, // a subscription has its tenant
		ConfigDirVariable: azConfigDirVariable,
	},
	UnmetNeed: azureCLINeed,
	Check:     checkSubscription,
	Open:      openAzureCLI,
	Diagnose:  diagnoseAzureCLI,
}

const (
	azConfigDirVariable = "AZURE_CONFIG_DIR"

	// azCloudVariable overrides the cloud in az's folder.
	azCloudVariable = "AZURE_CLOUD_NAME"
)

// azStateFiles are the files in az's folder that identify the signed-in account, its cloud and the
// chosen subscription. Refreshing tokens does not change them.
var azStateFiles = []string{"azureProfile.json", "clouds.config", "config"}

func azConfigDir(opts Options) (string, error) {
	return toolConfigDir(opts, azConfigDirVariable, ".azure")
}

// azAccount is a subscription in az's folder, with the account that is signed in for it.
type azAccount struct {
	IsDefault bool   `json:"isDefault"`
	TenantID  string `json:"tenantId"`
	User      struct {
		Name         string `json:"name"`
		CloudShellID bool   `json:"cloudShellID"`
	} `json:"user"`
}

// azManagedIdentity returns the account that az uses if it is a managed identity, as in Cloud
// Shell. az accepts no tenant for such an account.
// https://github.com/Azure/azure-cli/blob/dev/src/azure-cli-core/azure/cli/core/_profile.py
func azManagedIdentity(dir string) (account azAccount, found bool) {
	accounts, _ := azAccounts(dir)
	for _, a := range accounts {
		isIdentity := a.User.CloudShellID ||
			slices.Contains([]string{"systemAssignedIdentity", "userAssignedIdentity"}, a.User.Name)
		if a.IsDefault && isIdentity {
			return a, true
		}
	}
	return azAccount{}, false
}

// AzureCLIRefusesTenant reports whether az accepts no tenant for the account that is signed in on
// this machine.
func AzureCLIRefusesTenant(getenv func(string) string) bool {
	dir, err := azConfigDir(Options{Getenv: getenv})
	_, found := azManagedIdentity(dir)
	return err == nil && found
}

// azAccounts returns the accounts in az's folder, none if nobody is signed in. It returns an error
// if az's file exists but cannot be read.
func azAccounts(dir string) ([]azAccount, error) {
	var profile struct {
		Subscriptions []azAccount `json:"subscriptions"`
	}
	content, err := readRegularFile(filepath.Join(dir, azStateFiles[0]), maxStateFile)
	if err == nil {
		err = json.Unmarshal(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")), &profile)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return profile.Subscriptions, nil
}

func azureCLINeed(_ Request, getenv func(string) string) string {
	dir, err := azConfigDir(Options{Getenv: getenv})
	need := missingProgram("az")
	if err != nil || need != "" { // openAzureCLI reports the error
		return need
	}
	// az itself reports what is wrong with its file. Another login must not be used instead.
	if accounts, err := azAccounts(dir); err == nil && len(accounts) == 0 {
		need = "nobody is signed in to az"
	}
	return need
}

func checkSubscription(r Request) error {
	switch {
	case !redact.IsPlain(r.Subscription+"x", "-_ ."): // it is passed to a shell
		return usageErrorf(
			"subscription %q%s has characters that az cannot be given%s: name it by its ID",
			r.Subscription, r.sourceNote("subscription"), oddCharacterNote(r.Subscription),
		)
	case r.Subscription != "" && r.TenantID != "" && r.setExplicitly("tenant-id") &&
		!r.isForAnotherLogin("tenant-id"):
		return usageErrorf("--subscription and --tenant-id are both given: " +
			"az takes one of them, and a subscription has its tenant")
	}
	return nil
}

func openAzureCLI(r Request, opts Options, _ entra.Client) (Login, error) {
	dir, err := azConfigDir(opts)
	if err != nil {
		return Login{}, err
	}
	switch identity, found := azManagedIdentity(dir); {
	case r.TenantID == "":
	case r.Subscription != "": // az accepts only one of the two
		r.TenantID = ""
	case found && IsGUID(r.TenantID) && !strings.EqualFold(r.TenantID, identity.TenantID):
		return Login{}, &UsageError{
			Text: "a managed identity of tenant " + identity.TenantID +
				" is signed in to az, but the requested tenant is " + r.TenantID +
				r.sourceNote("tenant-id"),
			Hint: "a managed identity gets tokens only for its own tenant: sign in to az with " +
				"another account, or leave the tenant out",
		}
	case found:
		opts.Log.Debug("az accepts no tenant for a managed identity", "tenant", r.TenantID)
		r.TenantID = ""
	}
	state := hashFiles(dir, azStateFiles)
	return Login{
		Secret: opts.loadUserKey(),
		Inputs: []string{
			"method=" + r.Login,
			"tenant=" + r.TenantID,
			"subscription=" + r.Subscription,
			"audience=" + r.audience(),
			"home=" + dir,
			"state=" + state,
			"cloud=" + opts.Getenv(azCloudVariable),
			"machine=" + machineID(), // az may be signed in as the machine's managed identity
		},
		InputsChanged: func() bool { return hashFiles(dir, azStateFiles) != state },
		NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			return toolCredential{a.Options, azArgs(r), parseAzToken}, nil
		},
		HintValues: toolHintValues("az"),
	}, nil
}

// diagnoseAzureCLI reports that the tenant is not passed on to az, if that is so.
func diagnoseAzureCLI(r Request, opts Options) []Finding {
	if r.TenantID == "" || r.Subscription != "" || !AzureCLIRefusesTenant(opts.Getenv) {
		return nil
	}
	return []Finding{{
		Status: StatusInfo,
		Check:  "az",
		Text: "a managed identity is signed in, and az accepts no tenant for one: " + r.TenantID +
			r.sourceNote("tenant-id") + " is not passed on",
	}}
}

func azArgs(r Request) []string {
	// Old versions of az do not support scopes.
	args := []string{"az", "account", "get-access-token", "-o", "json", "--resource", r.audience()}
	if r.TenantID != "" {
		args = append(args, "--tenant", r.TenantID)
	}
	if r.Subscription != "" {
		args = append(args, "--subscription", r.Subscription)
	}
	return args
}

// parseAzToken reads az's output. Old versions have no expires_on, and the local time in expiresOn.
func parseAzToken(stdout []byte) (azcore.AccessToken, error) {
	var t struct {
		AccessToken string `json:"accessToken"`
		ExpiresUnix int64  `json:"expires_on"`
		ExpiresOn   string `json:"expiresOn"`
	}
	if err := json.Unmarshal(stdout, &t); err != nil {
		return azcore.AccessToken{}, err
	}
	expires := time.Unix(t.ExpiresUnix, 0)
	if t.ExpiresUnix == 0 {
		var err error
		expires, err = time.ParseInLocation("2006-01-02 15:04:05.999999", t.ExpiresOn, time.Local)
		if err != nil {
			return azcore.AccessToken{}, fmt.Errorf("its token expiration time is %q", t.ExpiresOn)
		}
	}
	return azcore.AccessToken{Token: t.AccessToken, ExpiresOn: expires.UTC()}, nil
}
