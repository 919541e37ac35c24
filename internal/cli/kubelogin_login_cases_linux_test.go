package cli

import (
	"slices"
	"strings"
)

// loginCase is a run of get-token. Its words are separated by blanks; $NAMES in them stand for
// values of the loginRun.
type loginCase struct {
	name  string
	args  string // after get-token
	env   string // NAME=value words
	setup string // a command to run first, which signs in to a tool
}

// Parts of command lines and environments.
const (
	serverArgs   = "--server-id $SERVER_ID "
	appArgs      = serverArgs + "--tenant-id $TENANT --client-id $CLIENT "
	userArgs     = serverArgs + "--tenant-id $TENANT --client-id $PUBLIC "
	usGovernment = "AzureUSGovernmentCloud"

	azLogin  = "az login -u $ALICE -p $PASSWORD"
	azdLogin = "azd auth login --username $ALICE --password $PASSWORD"

	// Without inAppService, msi would send requests to the IMDS of the test machine.
	inAppService = "IDENTITY_ENDPOINT=$ENDPOINT IDENTITY_HEADER=$HEADER "
	inPipeline   = "SYSTEM_OIDCREQUESTURI=$OIDC_URI SYSTEM_ACCESSTOKEN=$SYSTEM_TOKEN "
	inWorkflow   = "ACTIONS_ID_TOKEN_REQUEST_URL=$GITHUB_URL " +
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=$GITHUB_TOKEN "

	nonInteractive = `KUBERNETES_EXEC_INFO={"apiVersion":"client.authentication.k8s.io/v1beta1",` +
		`"kind":"ExecCredential","spec":{"interactive":false}}`
)

// loginCases are cases with particular inputs; combinedLoginCases has the systematic ones.
var loginCases = []loginCase{
	{"spn", appArgs + "--login spn --client-secret $SECRET", "", ""},
	{"spn, wrong secret", appArgs + "--login spn --client-secret wrong", "", ""},
	{"spn, no secret", appArgs + "--login spn", "", ""},
	{"spn, short flags and spellings", "-l=spn -t $TENANT --client-id=$CLIENT -eAzurePublicCloud --server-id $SERVER_ID --client-secret=$SECRET -v=5 --logtostderr=true", "", ""},
	{"spn, method in a variable", appArgs + "--login devicecode --client-secret $SECRET", "AAD_LOGIN_METHOD=spn", ""},
	{"spn, method in a variable, overrides disabled", appArgs + "--login spn --client-secret $SECRET --disable-environment-override", "AAD_LOGIN_METHOD=devicecode", ""},
	{"spn, tenant domain", serverArgs + "--tenant-id contoso.example --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, IDs in upper case", serverArgs + "--tenant-id $CAPITAL_TENANT --client-id $CAPITAL_CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, another server", "--server-id $OTHER_SERVER_ID --tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, server as a scope", "--server-id $SERVER_ID/.default --tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, server with a slash", "--server-id $SERVER_ID/ --tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, no server", "--tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, certificate", appArgs + "--login spn --client-certificate $CERT", "", ""},
	{"spn, certificate with a chain", appArgs + "--login spn --client-certificate $CHAIN", "", ""},
	{"spn, certificate after its chain", appArgs + "--login spn --client-certificate $CHAIN_FIRST", "", ""},
	{"spn, PFX", appArgs + "--login spn --client-certificate $PFX --client-certificate-password $PFX_PASSWORD", "", ""},
	{"spn, PFX with AES", appArgs + "--login spn --client-certificate $MODERN_PFX --client-certificate-password $PFX_PASSWORD", "", ""},
	{"spn, PFX named .p12", appArgs + "--login spn --client-certificate $P12 --client-certificate-password $PFX_PASSWORD", "", ""},
	{"spn, PFX, wrong password", appArgs + "--login spn --client-certificate $PFX --client-certificate-password wrong", "", ""},
	{"spn, PKCS #1 key", appArgs + "--login spn --client-certificate $PKCS1", "", ""},
	{"spn, unknown certificate", appArgs + "--login spn --client-certificate $UNKNOWN_CERT", "", ""},
	{"spn, secret and certificate", appArgs + "--login spn --client-certificate $CERT --client-secret $SECRET", "", ""},
	{"spn, secret and certificate in variables", appArgs + "--login spn", "AZURE_CLIENT_CERTIFICATE_PATH=$CERT AZURE_CLIENT_SECRET=$SECRET", ""},
	{"spn, secret, and a certificate in the SDK's variable", appArgs + "--login spn --client-secret $SECRET", "AZURE_CLIENT_CERTIFICATE_PATH=$CERT", ""},
	{"spn, certificate, and a secret in the SDK's variable", appArgs + "--login spn --client-certificate $CERT", "AZURE_CLIENT_SECRET=$SECRET", ""},
	{"spn, PFX in variables", appArgs + "--login spn", "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE=$PFX AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE_PASSWORD=$PFX_PASSWORD", ""},
	{"spn, PFX in the SDK's variables", appArgs + "--login spn", "AZURE_CLIENT_CERTIFICATE_PATH=$PFX AZURE_CLIENT_CERTIFICATE_PASSWORD=$PFX_PASSWORD", ""},
	{"spn, PFX in Terraform's variables", serverArgs + "--login spn --use-azurerm-env-vars", "ARM_CLIENT_ID=$CLIENT ARM_TENANT_ID=$TENANT ARM_CLIENT_CERTIFICATE_PATH=$PFX ARM_CLIENT_CERTIFICATE_PASSWORD=$PFX_PASSWORD", ""},
	{"spn, Terraform's variables without --use-azurerm-env-vars", appArgs + "--login spn --client-secret $SECRET", "ARM_CLIENT_ID=$OTHER_CLIENT ARM_TENANT_ID=$OTHER_TENANT ARM_CLIENT_SECRET=$OTHER_SECRET", ""},
	{"spn, empty variables", appArgs + "--login spn --client-secret $SECRET", "AZURE_CLIENT_ID= AZURE_TENANT_ID= AAD_SERVICE_PRINCIPAL_CLIENT_SECRET=", ""},
	{"spn, the public client", userArgs + "--login spn --client-secret $SECRET", "", ""},
	{"spn, the public client and a variable", userArgs + "--login spn --client-secret $SECRET", "AZURE_CLIENT_ID=$CLIENT", ""},
	{"spn, no discovery", appArgs + "--login spn --client-secret $SECRET --disable-instance-discovery", "", ""},
	{"spn, authority host", appArgs + "--login spn --client-secret $SECRET --authority-host https://login.microsoftonline.us/", "", ""},
	{"spn, authority host without a slash", appArgs + "--login spn --client-secret $SECRET --authority-host https://login.microsoftonline.us", "", ""},
	{"spn, authority host beats the environment", appArgs + "--login spn --client-secret $SECRET --authority-host https://login.microsoftonline.us/ -e AzureChinaCloud", "", ""},
	{"spn, authority host of a private cloud", appArgs + "--login spn --client-secret $SECRET --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"spn, authority host in a variable", appArgs + "--login spn --client-secret $SECRET", "AZURE_AUTHORITY_HOST=https://login.microsoftonline.us/", ""},
	{"spn, tenant alias", serverArgs + "--tenant-id common --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, legacy", appArgs + "--login spn --client-secret $SECRET --legacy", "", ""},
	{"spn, PoP", appArgs + "--login spn --client-secret $SECRET --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"spn, PoP with more claims", appArgs + "--login spn --client-secret $SECRET --pop-enabled --pop-claims a=b,u=$ARM_ID", "", ""},
	{"spn, PoP with a certificate", appArgs + "--login spn --client-certificate $CERT --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"spn, PoP in China", appArgs + "--login spn --client-secret $SECRET --pop-enabled --pop-claims u=$ARM_ID -e AzureChinaCloud", "", ""},
	{"spn, PoP in a private cloud", appArgs + "--login spn --client-certificate $CERT --pop-enabled --pop-claims u=$ARM_ID --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"spn, PoP without claims", appArgs + "--login spn --client-secret $SECRET --pop-enabled", "", ""},
	{"spn, PoP claims alone", appArgs + "--login spn --client-secret $SECRET --pop-claims u=$ARM_ID", "", ""},

	{"spn, US government", appArgs + "--login spn --client-secret $SECRET -e " + usGovernment, "", ""},
	{"spn, US government, other name", appArgs + "--login spn --client-secret $SECRET -e azureusgovernment", "", ""},
	{"spn, China", appArgs + "--login spn --client-secret $SECRET --environment AzureChinaCloud", "", ""},
	{"spn, public cloud, other name", appArgs + "--login spn --client-secret $SECRET --environment AZURECLOUD", "", ""},
	{"spn, unknown environment", appArgs + "--login spn --client-secret $SECRET --environment AzureGermanCloud", "", ""},

	{"ropc", userArgs + "--login ropc --username $ALICE --password $PASSWORD", "", ""},
	{"ropc, wrong password", userArgs + "--login ropc --username $ALICE --password wrong", "", ""},
	{"ropc, US government", userArgs + "--login ropc --username $ALICE --password $PASSWORD -e " + usGovernment, "", ""},
	{"ropc, private cloud", userArgs + "--login ropc --username $ALICE --password $PASSWORD --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"ropc, tenant alias", serverArgs + "--tenant-id organizations --client-id $PUBLIC --login ropc --username $ALICE --password $PASSWORD", "", ""},
	{"ropc, PoP", userArgs + "--login ropc --username $ALICE --password $PASSWORD --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"ropc, PoP in China", userArgs + "--login ropc --username $ALICE --password $PASSWORD --pop-enabled --pop-claims u=$ARM_ID -e AzureChinaCloud", "", ""},
	{"ropc, legacy", userArgs + "--login ropc --username $ALICE --password $PASSWORD --legacy", "", ""},
	{"ropc, client in a variable", userArgs + "--login ropc --username $ALICE --password $PASSWORD", "AAD_SERVICE_PRINCIPAL_CLIENT_ID=$CLI", ""},
	{"ropc, no password", userArgs + "--login ropc --username $ALICE", "", ""},

	{"devicecode", userArgs + "--login devicecode", "", ""},
	{"devicecode by default", userArgs, "", ""},
	{"devicecode, China", userArgs + "--login devicecode -e AzureChinaCloud", "", ""},
	{"devicecode, private cloud", userArgs + "--login devicecode --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"devicecode, tenant alias", serverArgs + "--tenant-id organizations --client-id $PUBLIC --login devicecode", "", ""},
	{"devicecode, IDs in variables", serverArgs + "--login devicecode", "AZURE_TENANT_ID=$TENANT AZURE_CLIENT_ID=$PUBLIC", ""},
	{"devicecode, client in kubelogin's variable", userArgs + "--login devicecode", "AAD_SERVICE_PRINCIPAL_CLIENT_ID=$CLI", ""},
	{"devicecode, another client in the SDK's variable", userArgs + "--login devicecode", "AZURE_CLIENT_ID=$CLI", ""},
	{"devicecode, legacy", userArgs + "--login devicecode --legacy", "", ""},
	{"devicecode, PoP", userArgs + "--login devicecode --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"devicecode, non-interactive", userArgs + "--login devicecode", nonInteractive, ""},
	{"devicecode, no client", serverArgs + "--login devicecode --tenant-id $TENANT", "", ""},

	{"interactive", userArgs + "--login interactive", "", ""},
	{"interactive, login hint", userArgs + "--login interactive --login-hint $ALICE", "", ""},
	{"interactive, redirect URL", userArgs + "--login interactive --redirect-url http://localhost:$PORT", "", ""},
	{"interactive, US government", userArgs + "--login interactive -e " + usGovernment, "", ""},
	{"interactive, authority host", userArgs + "--login interactive --authority-host https://login.microsoftonline.us/", "", ""},
	{"interactive, tenant in a variable", serverArgs + "--login interactive --client-id $PUBLIC", "AZURE_TENANT_ID=$TENANT", ""},
	{"interactive, tenant alias", serverArgs + "--tenant-id organizations --client-id $PUBLIC --login interactive", "", ""},
	{"interactive, legacy", userArgs + "--login interactive --legacy", "", ""},
	{"interactive, PoP", userArgs + "--login interactive --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"interactive, PoP with a hint", userArgs + "--login interactive --pop-enabled --pop-claims u=$ARM_ID --login-hint $ALICE --redirect-url http://localhost:$PORT", "", ""},

	{"msi", serverArgs + "--login msi", inAppService, ""},
	{"msi, client ID", serverArgs + "--login msi --client-id $IDENTITY", inAppService, ""},
	{"msi, client ID in a variable", serverArgs + "--login msi", inAppService + "AZURE_CLIENT_ID=$IDENTITY", ""},
	{"msi, client ID in kubelogin's variable", serverArgs + "--login msi", inAppService + "AAD_SERVICE_PRINCIPAL_CLIENT_ID=$IDENTITY", ""},
	{"msi, resource ID", serverArgs + "--login msi --identity-resource-id $IDENTITY_ID", inAppService, ""},
	{"msi, both IDs", serverArgs + "--login msi --identity-resource-id $IDENTITY_ID --client-id $MACHINE", inAppService, ""},
	{"msi, resource ID and a variable", serverArgs + "--login msi --identity-resource-id $IDENTITY_ID", inAppService + "AZURE_CLIENT_ID=$MACHINE", ""},
	{"msi, the public client", serverArgs + "--login msi --client-id $PUBLIC", inAppService, ""},
	{"msi, unknown identity", serverArgs + "--login msi --client-id $CLIENT", inAppService, ""},
	{"msi, another server", "--server-id $OTHER_SERVER_ID/.default --login msi", inAppService, ""},
	{"msi, environment", serverArgs + "--login msi -e AzureChinaCloud", inAppService, ""},
	{"msi, tenant alias", serverArgs + "--login msi --tenant-id common", inAppService, ""},
	{"msi, PoP", serverArgs + "--login msi --pop-enabled --pop-claims u=$ARM_ID", inAppService, ""},
	{"msi, legacy", serverArgs + "--login msi --legacy", inAppService, ""},

	{"azurecli", serverArgs + "--login azurecli", "", azLogin},
	{"azurecli, tenant", serverArgs + "--login azurecli --tenant-id $TENANT", "", azLogin},
	{"azurecli, tenant in a variable", serverArgs + "--login azurecli", "AZURE_TENANT_ID=$TENANT", azLogin},
	{"azurecli, another tenant", serverArgs + "--login azurecli --tenant-id $OTHER_TENANT", "", azLogin},
	{"azurecli, subscription", serverArgs + "--login azurecli --subscription $OTHER_SUBSCRIPTION", "", azLogin},
	{"azurecli, subscription by name", serverArgs + "--login azurecli -s $SUBSCRIPTION_NAME", "", azLogin},
	{"azurecli, tenant and subscription", serverArgs + "--login azurecli --tenant-id $TENANT -s $SUBSCRIPTION", "", azLogin},
	{"azurecli, subscription, and a tenant in the SDK's variable", serverArgs + "--login azurecli -s $SUBSCRIPTION", "AZURE_TENANT_ID=$OTHER_TENANT", azLogin},
	{"azurecli, another server", "--server-id $OTHER_SERVER_ID --login azurecli", "", azLogin},
	{"azurecli, config folder", serverArgs + "--login azurecli", "AZURE_CONFIG_DIR=$HOME/elsewhere", azLogin},
	{"azurecli, nobody signed in", serverArgs + "--login azurecli", "", ""},
	{"azurecli, PoP", serverArgs + "--login azurecli --pop-enabled --pop-claims u=$ARM_ID", "", azLogin},
	{"azurecli, method in a variable", serverArgs, "AAD_LOGIN_METHOD=azurecli", azLogin},

	{"azd", serverArgs + "--login azd", "", azdLogin},
	{"azd, tenant", serverArgs + "--login azd --tenant-id $TENANT", "", azdLogin},
	{"azd, another server", "--server-id $OTHER_SERVER_ID/.default --login azd", "", azdLogin},
	{"azd, PoP", serverArgs + "--login azd --pop-enabled --pop-claims u=$ARM_ID", "", azdLogin},
	{"azd, nobody signed in", serverArgs + "--login azd", "", ""},

	{"workloadidentity", appArgs + "--login workloadidentity --federated-token-file $TOKEN", "", ""},
	{"workloadidentity, file with a trailing newline", appArgs + "--login workloadidentity --federated-token-file $TOKEN_LINE", "", ""},
	{"workloadidentity, the webhook's variables", serverArgs + "--login workloadidentity", "AZURE_CLIENT_ID=$CLIENT AZURE_TENANT_ID=$TENANT AZURE_FEDERATED_TOKEN_FILE=$TOKEN AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity by default", serverArgs, "AZURE_CLIENT_ID=$CLIENT AZURE_TENANT_ID=$TENANT AZURE_FEDERATED_TOKEN_FILE=$TOKEN AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity, flags against the webhook", appArgs + "--login workloadidentity --federated-token-file $TOKEN --authority-host https://login.microsoftonline.us/", "AZURE_CLIENT_ID=$OTHER_CLIENT AZURE_TENANT_ID=$OTHER_TENANT AZURE_FEDERATED_TOKEN_FILE=/nowhere AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity, flags, overrides disabled", appArgs + "--login workloadidentity --federated-token-file $TOKEN --disable-environment-override", "AZURE_CLIENT_ID=$OTHER_CLIENT AZURE_TENANT_ID=$OTHER_TENANT AZURE_FEDERATED_TOKEN_FILE=/nowhere", ""},
	{"workloadidentity, the public client", userArgs + "--login workloadidentity --federated-token-file $TOKEN", "AZURE_CLIENT_ID=$CLIENT", ""},
	{"workloadidentity, environment", appArgs + "--login workloadidentity --federated-token-file $TOKEN -e " + usGovernment, "", ""},
	{"workloadidentity, private cloud", appArgs + "--login workloadidentity --federated-token-file $TOKEN --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"workloadidentity, environment against the webhook", appArgs + "--login workloadidentity --federated-token-file $TOKEN -e " + usGovernment, "AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity, missing file", appArgs + "--login workloadidentity --federated-token-file /nowhere", "", ""},
	{"workloadidentity, Terraform's variables", serverArgs + "--login workloadidentity --use-azurerm-env-vars --federated-token-file $TOKEN", "ARM_CLIENT_ID=$CLIENT ARM_TENANT_ID=$TENANT", ""},
	{"workloadidentity, Terraform's variables and the webhook's", serverArgs + "--login workloadidentity --use-azurerm-env-vars", "ARM_CLIENT_ID=$CLIENT ARM_TENANT_ID=$TENANT AZURE_CLIENT_ID=$OTHER_CLIENT AZURE_TENANT_ID=$OTHER_TENANT AZURE_FEDERATED_TOKEN_FILE=$TOKEN", ""},
	{"workloadidentity, GitHub", appArgs + "--login workloadidentity", inWorkflow, ""},
	{"workloadidentity, GitHub, China", serverArgs + "--tenant-id $TENANT --client-id $OTHER_CLIENT --login workloadidentity -e AzureChinaCloud", inWorkflow, ""},
	{"workloadidentity, GitHub and a file", appArgs + "--login workloadidentity --federated-token-file $TOKEN", inWorkflow, ""},
	{"workloadidentity, GitHub and the webhook's file", appArgs + "--login workloadidentity", inWorkflow + "AZURE_FEDERATED_TOKEN_FILE=$TOKEN", ""},
	{"workloadidentity, PoP", appArgs + "--login workloadidentity --federated-token-file $TOKEN --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"workloadidentity, legacy", appArgs + "--login workloadidentity --federated-token-file $TOKEN --legacy", "", ""},

	{"azurepipelines", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION", inPipeline, ""},
	{"azurepipelines, variables", serverArgs + "--login azurepipelines", inPipeline + "AZURESUBSCRIPTION_CLIENT_ID=$CLIENT AZURESUBSCRIPTION_TENANT_ID=$TENANT AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=$CONNECTION", ""},
	{"azurepipelines, flags and variables", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION", inPipeline + "AZURESUBSCRIPTION_CLIENT_ID=$OTHER_CLIENT AZURESUBSCRIPTION_TENANT_ID=$OTHER_TENANT AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=$TENANT", ""},
	{"azurepipelines, both kinds of variables", serverArgs + "--login azurepipelines", inPipeline + "AZURE_CLIENT_ID=$CLIENT AZURE_TENANT_ID=$TENANT AZURESUBSCRIPTION_CLIENT_ID=$OTHER_CLIENT AZURESUBSCRIPTION_TENANT_ID=$OTHER_TENANT AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=$CONNECTION", ""},
	{"azurepipelines, the public client", userArgs + "--login azurepipelines", inPipeline + "AZURESUBSCRIPTION_CLIENT_ID=$CLIENT AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=$CONNECTION", ""},
	{"azurepipelines, overrides disabled", serverArgs + "--login azurepipelines --disable-environment-override", inPipeline + "AZURESUBSCRIPTION_CLIENT_ID=$CLIENT AZURESUBSCRIPTION_TENANT_ID=$TENANT AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=$CONNECTION", ""},
	{"azurepipelines, unknown connection", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $TENANT", inPipeline, ""},
	{"azurepipelines, outside a job", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION", "", ""},
	{"azurepipelines, US government", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION -e " + usGovernment, inPipeline, ""},
	{"azurepipelines, kubelogin's variable", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION", inPipeline + "AAD_SERVICE_PRINCIPAL_CLIENT_ID=$OTHER_CLIENT", ""},
	{"azurepipelines, PoP", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION --pop-enabled --pop-claims u=$ARM_ID", inPipeline, ""},

	{"unknown method", appArgs + "--login oidc", "", ""},
	{"zero timeout", appArgs + "--login spn --client-secret $SECRET --timeout 0s", "", ""},
}

// The sources of an input.
const (
	fromFlag          = "a flag"
	fromKubeloginVars = "AAD_*"
	fromSDKVars       = "AZURE_*"
	fromTerraformVars = "ARM_*"
	fromPipelinesVars = "AZURESUBSCRIPTION_*"
)

// A loginInput is an input of a login, which a flag or a variable can give.
type loginInput struct {
	flag      string
	variables map[string]string // by source
	values    map[string]string // by source, for combinedLoginCases
}

var loginInputs = []loginInput{
	{"client-id", map[string]string{fromKubeloginVars: "AAD_SERVICE_PRINCIPAL_CLIENT_ID", fromSDKVars: "AZURE_CLIENT_ID", fromTerraformVars: "ARM_CLIENT_ID", fromPipelinesVars: "AZURESUBSCRIPTION_CLIENT_ID"},
		map[string]string{fromFlag: "$CLIENT", fromKubeloginVars: "$OTHER_CLIENT", fromSDKVars: "$SDKS_CLIENT", fromTerraformVars: "$TERRAFORMS_CLIENT"}},
	{"tenant-id", map[string]string{fromSDKVars: "AZURE_TENANT_ID", fromTerraformVars: "ARM_TENANT_ID", fromPipelinesVars: "AZURESUBSCRIPTION_TENANT_ID"},
		map[string]string{fromFlag: "$TENANT", fromSDKVars: "$OTHER_TENANT", fromTerraformVars: "contoso.example"}},
	{"client-secret", map[string]string{fromKubeloginVars: "AAD_SERVICE_PRINCIPAL_CLIENT_SECRET", fromSDKVars: "AZURE_CLIENT_SECRET", fromTerraformVars: "ARM_CLIENT_SECRET"},
		map[string]string{fromFlag: "$SECRET", fromKubeloginVars: "$OTHER_SECRET", fromSDKVars: "sdks-secret-in-tests", fromTerraformVars: "terraforms-secret-in-tests"}},
	{"client-certificate", map[string]string{fromKubeloginVars: "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE", fromSDKVars: "AZURE_CLIENT_CERTIFICATE_PATH", fromTerraformVars: "ARM_CLIENT_CERTIFICATE_PATH"},
		map[string]string{fromFlag: "$CERT", fromKubeloginVars: "$OTHER_CERT", fromSDKVars: "$SDKS_CERT", fromTerraformVars: "$TERRAFORMS_CERT"}},
	{"client-certificate-password", map[string]string{fromKubeloginVars: "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE_PASSWORD", fromSDKVars: "AZURE_CLIENT_CERTIFICATE_PASSWORD", fromTerraformVars: "ARM_CLIENT_CERTIFICATE_PASSWORD"}, nil},
	{"username", map[string]string{fromKubeloginVars: "AAD_USER_PRINCIPAL_NAME", fromSDKVars: "AZURE_USERNAME"},
		map[string]string{fromFlag: "$ALICE", fromKubeloginVars: "$BOB", fromSDKVars: "$CAROL"}},
	{"password", map[string]string{fromKubeloginVars: "AAD_USER_PRINCIPAL_PASSWORD", fromSDKVars: "AZURE_PASSWORD"},
		map[string]string{fromFlag: "$PASSWORD", fromKubeloginVars: "$OTHER_PASSWORD", fromSDKVars: "wrong"}},
	{"federated-token-file", map[string]string{fromSDKVars: "AZURE_FEDERATED_TOKEN_FILE"}, nil},
	{"authority-host", map[string]string{fromSDKVars: "AZURE_AUTHORITY_HOST"}, nil},
	{"azure-pipelines-service-connection-id", map[string]string{fromPipelinesVars: "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"}, nil},
}

// combinedLoginCases returns cases in which every input of a method comes from each source, from
// each pair of sources, and from all of them. An input that has none of these sources is a flag.
func combinedLoginCases() (cases []loginCase) {
	const noOverrides = " --disable-environment-override"
	allSources := []string{fromFlag, fromKubeloginVars, fromSDKVars, fromTerraformVars}
	combinations := [][]string{allSources}
	for i, source := range allSources {
		combinations = append(combinations, []string{source})
		for _, other := range allSources[:i] {
			combinations = append(combinations, []string{other, source})
		}
	}
	for _, m := range []struct {
		name, login   string
		inputs, modes []string
	}{
		{"spn", "spn", []string{"client-id", "tenant-id", "client-secret"}, []string{"", noOverrides, " --use-azurerm-env-vars"}},
		{"spn, certificate", "spn", []string{"client-id", "tenant-id", "client-certificate"}, []string{""}},
		{"ropc", "ropc", []string{"client-id", "tenant-id", "username", "password"}, []string{"", noOverrides}},
	} {
		for _, mode := range m.modes {
			for _, sources := range combinations {
				c := loginCase{
					name: m.name + " by " + strings.Join(sources, " and ") + mode,
					args: serverArgs + "--login " + m.login + mode,
				}
				for _, in := range loginInputs {
					if slices.Contains(m.inputs, in.flag) {
						c.addInput(in, sources)
					}
				}
				cases = append(cases, c)
			}
		}
	}
	return cases
}

// addInput gives an input from those of the sources that it has, or else as a flag.
func (c *loginCase) addInput(in loginInput, sources []string) {
	sources = slices.DeleteFunc(slices.Clone(sources), func(source string) bool {
		return source != fromFlag && in.variables[source] == ""
	})
	if len(sources) == 0 {
		sources = []string{fromFlag}
	}
	for _, source := range sources {
		if source == fromFlag {
			c.args += " --" + in.flag + " " + in.values[source]
		} else {
			c.env += " " + in.variables[source] + "=" + in.values[source]
		}
	}
}

// invocation is a case, split into words. Differences change it before kubelogin gets it.
type invocation struct {
	args  []string
	env   map[string]string
	setup string
}

func (c loginCase) invocation() invocation {
	a := invocation{args: strings.Fields(c.args), env: map[string]string{}, setup: c.setup}
	for word := range strings.FieldsSeq(c.env) {
		name, value, _ := strings.Cut(word, "=")
		a.env[name] = value
	}
	return a
}

// flags returns the values of the flags. The last of several equal flags counts. Flags without a
// meaning for a login, as -v=5, are left out.
func (a *invocation) flags() map[string]string {
	flags := map[string]string{}
	for args := a.args; len(args) > 0; {
		if short := args[0]; !strings.HasPrefix(short, "--") && longFlags[short[:2]] == "" {
			args = args[1:]
			continue
		}
		var flag, value string
		flag, value, args = nextFlag(args)
		flags[flag] = value
	}
	return flags
}

func (a *invocation) isOn(flag string) bool { return a.flags()[flag] == "true" }

// addFlag appends a flag, which overrides an earlier one. It returns true.
func (a *invocation) addFlag(flag, value string) bool {
	a.args = append(a.args, "--"+flag, value)
	return true
}

// dropFlag removes a flag whose value is a word of its own. It returns true.
func (a *invocation) dropFlag(flag string) bool {
	i := slices.Index(a.args, "--"+flag)
	a.args = slices.Delete(slices.Clone(a.args), i, i+2)
	return true
}

// eachInput calls change for all inputs, and reports whether one of the calls returned true.
func (a *invocation) eachInput(change func(loginInput) bool) (changed bool) {
	for _, in := range loginInputs {
		changed = change(in) || changed
	}
	return changed
}

// unset removes a variable, and reports whether it was set.
func (a *invocation) unset(variable string) bool {
	_, ok := a.env[variable]
	delete(a.env, variable)
	return ok
}

// login returns the login method, which both programs choose in the same way.
func (a *invocation) login() string {
	flags := a.flags()
	method := a.env["AAD_LOGIN_METHOD"]
	if method != "" && flags["disable-environment-override"] == "" {
		return method
	}
	return flags["login"]
}

// clientIDIsIdentity reports whether the client ID is the identity that logs in.
func (a *invocation) clientIDIsIdentity() bool {
	return slices.Contains([]string{"spn", "msi", "workloadidentity", "azurepipelines"}, a.login())
}
