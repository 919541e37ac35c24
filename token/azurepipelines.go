package token

import (
	"net/http"
	"slices"
)

// azurePipelines exchanges the federated token that Azure Pipelines gives a job for a service connection.
// https://learn.microsoft.com/azure/devops/release-notes/2024/sprint-240-update#pipelines-and-tasks-populate-variables-to-customize-workload-identity-federation-authentication
var azurePipelines = Method{
	Name:  "azurepipelines",
	About: "a service connection with workload identity federation, in a job of Azure Pipelines",
	Needs: []string{"client-id", "tenant-id", "azure-pipelines-service-connection-id"},
	Uses:  slices.Concat(asking, pop),
	Own:   []string{"client-id"},
	Missing: "the tasks AzureCLI@2 and AzurePowerShell@5 set the variables AZURESUBSCRIPTION_* for their service connection; " +
		"elsewhere all three are in the properties of the service connection",
	Presents: "the job's `SYSTEM_ACCESSTOKEN`",
	Stanza: Stanza{
		Writes:   []string{"tenant-id", "client-id", "azure-pipelines-service-connection-id"},
		Inherits: []string{"tenant-id"},
		Requires: []string{"tenant-id"},
	},
	Open: openAzurePipelines,
}

var pipelines = ciSystem{
	name:            "Azure Pipelines",
	addressVariable: "SYSTEM_OIDCREQUESTURI",
	keyVariable:     "SYSTEM_ACCESSTOKEN",
	method:          http.MethodPost,
	// Without the header it would send whoever has no good token to a sign-in page.
	header: map[string]string{"Accept": "application/json", "X-TFS-FedAuthRedirect": "Suppress"},
	member: "oidcToken",
	todo:   "see that service connection {connection} exists, that this pipeline may use it, that it uses workload identity federation, and that $SYSTEM_ACCESSTOKEN is the running job's",
}

func openAzurePipelines(r Request, w World, wr wire) (Login, error) {
	for _, name := range []string{pipelines.addressVariable, pipelines.keyVariable} {
		if w.Getenv(name) == "" {
			return Login{}, &UsageError{
				Text: "login " + r.Login + " works in a job of Azure Pipelines only, and $" + name + " is not set",
				Hint: "a step sees the job's token only where it says so: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)",
			}
		}
	}
	source := pipelines
	source.query = map[string]string{"api-version": "7.1", "serviceConnectionId": r.AzurePipelinesServiceConnectionID}
	login := Login{Inputs: append(r.inputs(wr), "connection="+r.AzurePipelinesServiceConnectionID)}
	return source.login(login, r, w)
}
