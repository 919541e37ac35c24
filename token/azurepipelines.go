package token

import (
	"net/http"
	"slices"

	"github.com/akslogin/akslogin/token/internal/entra"
)

// azurePipelines exchanges the federated token that Azure Pipelines gives a job for a service
// connection.
// https://learn.microsoft.com/azure/devops/release-notes/2024/sprint-240-update#pipelines-and-tasks-populate-variables-to-customize-workload-identity-federation-authentication
var azurePipelines = Method{
	Name:          "azurepipelines",
	About:         "a service connection with workload identity federation, in a job of Azure Pipelines",
	Required:      []string{"client-id", "tenant-id", "azure-pipelines-service-connection-id"},
	Optional:      slices.Concat(entraFlags, popFlags),
	IdentityFlags: []string{"client-id"},
	MissingHint: "the tasks AzureCLI@2 and AzurePowerShell@5 set the variables AZURESUBSCRIPTION_* for their service connection; " +
		"elsewhere all three are in the properties of the service connection",
	SealedWith: "the job's `SYSTEM_ACCESSTOKEN`",
	Stanza: Stanza{
		Flags:     []string{"tenant-id", "client-id", "azure-pipelines-service-connection-id"},
		Inherited: []string{"tenant-id"},
		Required:  []string{"tenant-id"},
	},
	UnmetNeed: azurePipelinesNeed,
	Open:      openAzurePipelines,
}

// azurePipelinesCI is not one of ciSystems: it needs a service connection, and therefore has a
// login method of its own.
var azurePipelinesCI = ciSystem{
	name:          "Azure Pipelines",
	urlVariable:   "SYSTEM_OIDCREQUESTURI",
	tokenVariable: "SYSTEM_ACCESSTOKEN",
	httpMethod:    http.MethodPost,
	query: func(r Request) map[string]string {
		return map[string]string{
			"api-version":         "7.1",
			"serviceConnectionId": r.AzurePipelinesServiceConnectionID,
		}
	},
	header: map[string]string{
		"Accept": "application/json",
		// Without this header a bad token leads to a redirect to a sign-in page, not to a 401.
		"X-TFS-FedAuthRedirect": "Suppress",
	},
	tokenField: "oidcToken",
	refusedHint: "check that service connection {connection} exists, that this pipeline may use " +
		"it, that it uses workload identity federation, and that $SYSTEM_ACCESSTOKEN is the " +
		"running job's",
}

func azurePipelinesNeed(_ Request, getenv func(string) string) string {
	for _, name := range []string{azurePipelinesCI.urlVariable, azurePipelinesCI.tokenVariable} {
		if getenv(name) == "" {
			return "$" + name + " is not set"
		}
	}
	return ""
}

func openAzurePipelines(r Request, opts Options, client entra.Client) (Login, error) {
	if need := azurePipelinesNeed(r, opts.Getenv); need != "" {
		return Login{}, &UsageError{
			Text: "login " + r.Login + " works only in a job of Azure Pipelines, and " + need,
			Hint: "a step sees the job's token only if it has: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
		}
	}
	login := Login{
		Inputs: append(r.cacheInputs(client), "connection="+r.AzurePipelinesServiceConnectionID),
	}
	return azurePipelinesCI.completeLogin(login, r, opts)
}
