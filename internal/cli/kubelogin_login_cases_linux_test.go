package cli

import (
	"slices"
	"strings"
)

// loginCase is a run of get-token. Its words are separated by blanks, and $NAMES in them stand for
// values of the run's surroundings.
type loginCase struct {
	name  string
	args  string // what is typed after get-token
	env   string // NAME=value words
	setup string // a program that is run before: somebody signs in to a tool
}

// Parts of command lines.
const (
	serverArgs = "--server-id $SERVER_ID "

	appArgs = serverArgs + "--tenant-id $TENANT --client-id $CLIENT "

	userArgs = serverArgs + "--tenant-id $TENANT --client-id $PUBLIC "

	usGovernment = "AzureUSGovernmentCloud"

	azLogin = "az login -u $ALICE -p $PASSWORD"

	azdLogin = "azd auth login --username $ALICE --password $PASSWORD"

	inAppService = "IDENTITY_ENDPOINT=$ENDPOINT IDENTITY_HEADER=$HEADER " // without it the machine's own IMDS would be asked, which no test may do

	inPipeline = "SYSTEM_OIDCREQUESTURI=$OIDC_URI SYSTEM_ACCESSTOKEN=$SYSTEM_TOKEN "

	inWorkflow = "ACTIONS_ID_TOKEN_REQUEST_URL=$GITHUB_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN=$GITHUB_TOKEN "

	nonInteractive = `KUBERNETES_EXEC_INFO={"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","spec":{"interactive":false}}`
)

// loginCases are those that are not made of combinations.
var loginCases = []loginCase{
	{"spn", appArgs + "--login spn --client-secret $SECRET", "", ""},
	{"spn, wrong secret", appArgs + "--login spn --client-secret wrong", "", ""},
	{"spn, no secret", appArgs + "--login spn", "", ""},
	{"spn, short flags and spellings", "-l=spn -t $TENANT --client-id=$CLIENT -eAzurePublicCloud --server-id $SERVER_ID --client-secret=$SECRET -v=5 --logtostderr=true", "", ""},
	{"spn, method in a variable", appArgs + "--login devicecode --client-secret $SECRET", "AAD_LOGIN_METHOD=spn", ""},
	{"spn, method in a variable that is not read", appArgs + "--login spn --client-secret $SECRET --disable-environment-override", "AAD_LOGIN_METHOD=devicecode", ""},
	{"spn, tenant by its domain", serverArgs + "--tenant-id contoso.example --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, IDs in capitals", serverArgs + "--tenant-id $CAPITAL_TENANT --client-id $CAPITAL_CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, another server", "--server-id $OTHER_SERVER_ID --tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, server as a scope", "--server-id $SERVER_ID/.default --tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, server with a slash", "--server-id $SERVER_ID/ --tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, no server", "--tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, certificate", appArgs + "--login spn --client-certificate $CERT", "", ""},
	{"spn, certificate with a chain", appArgs + "--login spn --client-certificate $CHAIN", "", ""},
	{"spn, certificate behind its chain", appArgs + "--login spn --client-certificate $CHAIN_FIRST", "", ""},
	{"spn, PFX", appArgs + "--login spn --client-certificate $PFX --client-certificate-password $PFX_PASSWORD", "", ""},
	{"spn, PFX of AES", appArgs + "--login spn --client-certificate $MODERN_PFX --client-certificate-password $PFX_PASSWORD", "", ""},
	{"spn, PFX by another name", appArgs + "--login spn --client-certificate $P12 --client-certificate-password $PFX_PASSWORD", "", ""},
	{"spn, PFX, wrong password", appArgs + "--login spn --client-certificate $PFX --client-certificate-password wrong", "", ""},
	{"spn, key of PKCS #1", appArgs + "--login spn --client-certificate $PKCS1", "", ""},
	{"spn, unknown certificate", appArgs + "--login spn --client-certificate $UNKNOWN_CERT", "", ""},
	{"spn, secret and certificate", appArgs + "--login spn --client-certificate $CERT --client-secret $SECRET", "", ""},
	{"spn, secret and certificate in variables", appArgs + "--login spn", "AZURE_CLIENT_CERTIFICATE_PATH=$CERT AZURE_CLIENT_SECRET=$SECRET", ""},
	{"spn, secret, and a certificate in the air", appArgs + "--login spn --client-secret $SECRET", "AZURE_CLIENT_CERTIFICATE_PATH=$CERT", ""},
	{"spn, certificate, and a secret in the air", appArgs + "--login spn --client-certificate $CERT", "AZURE_CLIENT_SECRET=$SECRET", ""},
	{"spn, PFX in variables", appArgs + "--login spn", "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE=$PFX AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE_PASSWORD=$PFX_PASSWORD", ""},
	{"spn, PFX in the SDK's variables", appArgs + "--login spn", "AZURE_CLIENT_CERTIFICATE_PATH=$PFX AZURE_CLIENT_CERTIFICATE_PASSWORD=$PFX_PASSWORD", ""},
	{"spn, PFX in Terraform's variables", serverArgs + "--login spn --use-azurerm-env-vars", "ARM_CLIENT_ID=$CLIENT ARM_TENANT_ID=$TENANT ARM_CLIENT_CERTIFICATE_PATH=$PFX ARM_CLIENT_CERTIFICATE_PASSWORD=$PFX_PASSWORD", ""},
	{"spn, Terraform's variables unasked", appArgs + "--login spn --client-secret $SECRET", "ARM_CLIENT_ID=$OTHER_CLIENT ARM_TENANT_ID=$OTHER_TENANT ARM_CLIENT_SECRET=$OTHER_SECRET", ""},
	{"spn, empty variables", appArgs + "--login spn --client-secret $SECRET", "AZURE_CLIENT_ID= AZURE_TENANT_ID= AAD_SERVICE_PRINCIPAL_CLIENT_SECRET=", ""},
	{"spn, the public client", userArgs + "--login spn --client-secret $SECRET", "", ""},
	{"spn, the public client and a variable", userArgs + "--login spn --client-secret $SECRET", "AZURE_CLIENT_ID=$CLIENT", ""},
	{"spn, no discovery", appArgs + "--login spn --client-secret $SECRET --disable-instance-discovery", "", ""},
	{"spn, authority host", appArgs + "--login spn --client-secret $SECRET --authority-host https://login.microsoftonline.us/", "", ""},
	{"spn, authority host without a slash", appArgs + "--login spn --client-secret $SECRET --authority-host https://login.microsoftonline.us", "", ""},
	{"spn, authority host beats the environment", appArgs + "--login spn --client-secret $SECRET --authority-host https://login.microsoftonline.us/ -e AzureChinaCloud", "", ""},
	{"spn, authority host of a private cloud", appArgs + "--login spn --client-secret $SECRET --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"spn, authority host in a variable", appArgs + "--login spn --client-secret $SECRET", "AZURE_AUTHORITY_HOST=https://login.microsoftonline.us/", ""},
	{"spn, shared tenant", serverArgs + "--tenant-id common --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, legacy", appArgs + "--login spn --client-secret $SECRET --legacy", "", ""},
	{"spn, PoP", appArgs + "--login spn --client-secret $SECRET --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"spn, PoP with more claims", appArgs + "--login spn --client-secret $SECRET --pop-enabled --pop-claims a=b,u=$ARM_ID", "", ""},
	{"spn, PoP with a certificate", appArgs + "--login spn --client-certificate $CERT --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"spn, PoP in China", appArgs + "--login spn --client-secret $SECRET --pop-enabled --pop-claims u=$ARM_ID -e AzureChinaCloud", "", ""},
	{"spn, PoP in a private cloud", appArgs + "--login spn --client-certificate $CERT --pop-enabled --pop-claims u=$ARM_ID --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"spn, PoP without claims", appArgs + "--login spn --client-secret $SECRET --pop-enabled", "", ""},
	{"spn, PoP claims alone", appArgs + "--login spn --client-secret $SECRET --pop-claims u=$ARM_ID", "", ""},

	{"spn, US government", appArgs + "--login spn --client-secret $SECRET -e " + usGovernment, "", ""},
	{"spn, US government by its other name", appArgs + "--login spn --client-secret $SECRET -e azureusgovernment", "", ""},
	{"spn, China", appArgs + "--login spn --client-secret $SECRET --environment AzureChinaCloud", "", ""},
	{"spn, public by another name", appArgs + "--login spn --client-secret $SECRET --environment AZURECLOUD", "", ""},
	{"spn, unknown environment", appArgs + "--login spn --client-secret $SECRET --environment AzureGermanCloud", "", ""},

	{"ropc", userArgs + "--login ropc --username $ALICE --password $PASSWORD", "", ""},
	{"ropc, wrong password", userArgs + "--login ropc --username $ALICE --password wrong", "", ""},
	{"ropc, US government", userArgs + "--login ropc --username $ALICE --password $PASSWORD -e " + usGovernment, "", ""},
	{"ropc, private cloud", userArgs + "--login ropc --username $ALICE --password $PASSWORD --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"ropc, shared tenant", serverArgs + "--tenant-id organizations --client-id $PUBLIC --login ropc --username $ALICE --password $PASSWORD", "", ""},
	{"ropc, PoP", userArgs + "--login ropc --username $ALICE --password $PASSWORD --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"ropc, PoP in China", userArgs + "--login ropc --username $ALICE --password $PASSWORD --pop-enabled --pop-claims u=$ARM_ID -e AzureChinaCloud", "", ""},
	{"ropc, legacy", userArgs + "--login ropc --username $ALICE --password $PASSWORD --legacy", "", ""},
	{"ropc, client in a variable", userArgs + "--login ropc --username $ALICE --password $PASSWORD", "AAD_SERVICE_PRINCIPAL_CLIENT_ID=$CLI", ""},
	{"ropc, no password", userArgs + "--login ropc --username $ALICE", "", ""},

	{"devicecode", userArgs + "--login devicecode", "", ""},
	{"devicecode by default", userArgs, "", ""},
	{"devicecode, China", userArgs + "--login devicecode -e AzureChinaCloud", "", ""},
	{"devicecode, private cloud", userArgs + "--login devicecode --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"devicecode, shared tenant", serverArgs + "--tenant-id organizations --client-id $PUBLIC --login devicecode", "", ""},
	{"devicecode, IDs in variables", serverArgs + "--login devicecode", "AZURE_TENANT_ID=$TENANT AZURE_CLIENT_ID=$PUBLIC", ""},
	{"devicecode, client in kubelogin's variable", userArgs + "--login devicecode", "AAD_SERVICE_PRINCIPAL_CLIENT_ID=$CLI", ""},
	{"devicecode, another client in the air", userArgs + "--login devicecode", "AZURE_CLIENT_ID=$CLI", ""},
	{"devicecode, legacy", userArgs + "--login devicecode --legacy", "", ""},
	{"devicecode, PoP", userArgs + "--login devicecode --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"devicecode, nobody there", userArgs + "--login devicecode", nonInteractive, ""},
	{"devicecode, no client", serverArgs + "--login devicecode --tenant-id $TENANT", "", ""},

	{"interactive", userArgs + "--login interactive", "", ""},
	{"interactive, login hint", userArgs + "--login interactive --login-hint $ALICE", "", ""},
	{"interactive, redirect URL", userArgs + "--login interactive --redirect-url http://localhost:$PORT", "", ""},
	{"interactive, US government", userArgs + "--login interactive -e " + usGovernment, "", ""},
	{"interactive, authority host", userArgs + "--login interactive --authority-host https://login.microsoftonline.us/", "", ""},
	{"interactive, tenant in a variable", serverArgs + "--login interactive --client-id $PUBLIC", "AZURE_TENANT_ID=$TENANT", ""},
	{"interactive, shared tenant", serverArgs + "--tenant-id organizations --client-id $PUBLIC --login interactive", "", ""},
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
	{"msi, shared tenant", serverArgs + "--login msi --tenant-id common", inAppService, ""},
	{"msi, PoP", serverArgs + "--login msi --pop-enabled --pop-claims u=$ARM_ID", inAppService, ""},
	{"msi, legacy", serverArgs + "--login msi --legacy", inAppService, ""},

	{"azurecli", serverArgs + "--login azurecli", "", azLogin},
	{"azurecli, tenant", serverArgs + "--login azurecli --tenant-id $TENANT", "", azLogin},
	{"azurecli, tenant in a variable", serverArgs + "--login azurecli", "AZURE_TENANT_ID=$TENANT", azLogin},
	{"azurecli, another tenant", serverArgs + "--login azurecli --tenant-id $OTHER_TENANT", "", azLogin},
	{"azurecli, subscription", serverArgs + "--login azurecli --subscription $OTHER_SUBSCRIPTION", "", azLogin},
	{"azurecli, subscription by name", serverArgs + "--login azurecli -s $SUBSCRIPTION_NAME", "", azLogin},
	{"azurecli, tenant and subscription", serverArgs + "--login azurecli --tenant-id $TENANT -s $SUBSCRIPTION", "", azLogin},
	{"azurecli, subscription, and a tenant in the air", serverArgs + "--login azurecli -s $SUBSCRIPTION", "AZURE_TENANT_ID=$OTHER_TENANT", azLogin},
	{"azurecli, another server", "--server-id $OTHER_SERVER_ID --login azurecli", "", azLogin},
	{"azurecli, its folder", serverArgs + "--login azurecli", "AZURE_CONFIG_DIR=$HOME/elsewhere", azLogin},
	{"azurecli, nobody signed in", serverArgs + "--login azurecli", "", ""},
	{"azurecli, PoP", serverArgs + "--login azurecli --pop-enabled --pop-claims u=$ARM_ID", "", azLogin},
	{"azurecli, method in a variable", serverArgs, "AAD_LOGIN_METHOD=azurecli", azLogin},

	{"azd", serverArgs + "--login azd", "", azdLogin},
	{"azd, tenant", serverArgs + "--login azd --tenant-id $TENANT", "", azdLogin},
	{"azd, another server", "--server-id $OTHER_SERVER_ID/.default --login azd", "", azdLogin},
	{"azd, PoP", serverArgs + "--login azd --pop-enabled --pop-claims u=$ARM_ID", "", azdLogin},
	{"azd, nobody signed in", serverArgs + "--login azd", "", ""},

	{"workloadidentity", appArgs + "--login workloadidentity --federated-token-file $TOKEN", "", ""},
	{"workloadidentity, file with a line's end", appArgs + "--login workloadidentity --federated-token-file $TOKEN_LINE", "", ""},
	{"workloadidentity, the webhook's variables", serverArgs + "--login workloadidentity", "AZURE_CLIENT_ID=$CLIENT AZURE_TENANT_ID=$TENANT AZURE_FEDERATED_TOKEN_FILE=$TOKEN AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity by default", serverArgs, "AZURE_CLIENT_ID=$CLIENT AZURE_TENANT_ID=$TENANT AZURE_FEDERATED_TOKEN_FILE=$TOKEN AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity, flags against the webhook", appArgs + "--login workloadidentity --federated-token-file $TOKEN --authority-host https://login.microsoftonline.us/", "AZURE_CLIENT_ID=$OTHER_CLIENT AZURE_TENANT_ID=$OTHER_TENANT AZURE_FEDERATED_TOKEN_FILE=/nowhere AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity, flags, the webhook's variables not read", appArgs + "--login workloadidentity --federated-token-file $TOKEN --disable-environment-override", "AZURE_CLIENT_ID=$OTHER_CLIENT AZURE_TENANT_ID=$OTHER_TENANT AZURE_FEDERATED_TOKEN_FILE=/nowhere", ""},
	{"workloadidentity, the public client", userArgs + "--login workloadidentity --federated-token-file $TOKEN", "AZURE_CLIENT_ID=$CLIENT", ""},
	{"workloadidentity, environment", appArgs + "--login workloadidentity --federated-token-file $TOKEN -e " + usGovernment, "", ""},
	{"workloadidentity, private cloud", appArgs + "--login workloadidentity --federated-token-file $TOKEN --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"workloadidentity, environment against the webhook", appArgs + "--login workloadidentity --federated-token-file $TOKEN -e " + usGovernment, "AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity, no file there", appArgs + "--login workloadidentity --federated-token-file /nowhere", "", ""},
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
	{"azurepipelines, variables not read", serverArgs + "--login azurepipelines --disable-environment-override", inPipeline + "AZURESUBSCRIPTION_CLIENT_ID=$CLIENT AZURESUBSCRIPTION_TENANT_ID=$TENANT AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=$CONNECTION", ""},
	{"azurepipelines, unknown connection", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $TENANT", inPipeline, ""},
	{"azurepipelines, no job", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION", "", ""},
	{"azurepipelines, US government", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION -e " + usGovernment, inPipeline, ""},
	{"azurepipelines, kubelogin's variable", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION", inPipeline + "AAD_SERVICE_PRINCIPAL_CLIENT_ID=$OTHER_CLIENT", ""},
	{"azurepipelines, PoP", appArgs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION --pop-enabled --pop-claims u=$ARM_ID", inPipeline, ""},

	{"unknown method", appArgs + "--login oidc", "", ""},
	{"no time", appArgs + "--login spn --client-secret $SECRET --timeout 0s", "", ""},
}

// Kinds of sources that an input comes from.
const (
	fromFlag, fromKubeloginVars, fromSDKVars, fromTerraformVars, fromPipelinesVars = "a flag", "AAD_*", "AZURE_*", "ARM_*", "AZURESUBSCRIPTION_*"
)

// A loginInput is what a flag and variables of several kinds give.
type loginInput struct {
	flag      string
	variables map[string]string // by kind
	values    map[string]string // by kind, in the combinations
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

// combinedLoginCases give every input of a method by each kind of source, by every two and by all.
// An input that no source of these gives stands on the command line.
func combinedLoginCases() (cases []loginCase) {
	const notOverriding = " --disable-environment-override"
	kinds := []string{fromFlag, fromKubeloginVars, fromSDKVars, fromTerraformVars}
	sets := [][]string{kinds}
	for i, kind := range kinds {
		sets = append(sets, []string{kind})
		for _, other := range kinds[:i] {
			sets = append(sets, []string{other, kind})
		}
	}
	for _, m := range []struct {
		name, login   string
		inputs, modes []string
	}{
		{"spn", "spn", []string{"client-id", "tenant-id", "client-secret"}, []string{"", notOverriding, " --use-azurerm-env-vars"}},
		{"spn, certificate", "spn", []string{"client-id", "tenant-id", "client-certificate"}, []string{""}},
		{"ropc", "ropc", []string{"client-id", "tenant-id", "username", "password"}, []string{"", notOverriding}},
	} {
		for _, mode := range m.modes {
			for _, set := range sets {
				c := loginCase{name: m.name + " by " + strings.Join(set, " and ") + mode, args: serverArgs + "--login " + m.login + mode}
				for _, in := range loginInputs {
					if !slices.Contains(m.inputs, in.flag) {
						continue
					}
					given := slices.DeleteFunc(slices.Clone(set), func(kind string) bool { return kind != fromFlag && in.variables[kind] == "" })
					if len(given) == 0 {
						given = []string{fromFlag}
					}
					for _, kind := range given {
						if kind == fromFlag {
							c.args += " --" + in.flag + " " + in.values[kind]
						} else {
							c.env += " " + in.variables[kind] + "=" + in.values[kind]
						}
					}
				}
				cases = append(cases, c)
			}
		}
	}
	return cases
}

// invocation is a case as a program is asked.
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

// flags are the flags with their values. The last of a flag counts.
func (a *invocation) flags() map[string]string {
	typed := map[string]string{}
	for args := a.args; len(args) > 0; {
		if short := args[0]; !strings.HasPrefix(short, "--") && longFlags[short[:2]] == "" { // -v=5
			args = args[1:]
			continue
		}
		var flag, value string
		flag, value, args = nextFlag(args)
		typed[flag] = value
	}
	return typed
}

func (a *invocation) isOn(flag string) bool { return a.flags()[flag] == "true" }

// addFlag types a flag in the place of what is typed. It returns true.
func (a *invocation) addFlag(flag, value string) bool {
	a.args = append(a.args, "--"+flag, value)
	return true
}

// dropFlag takes a flag away that is typed as two words. It returns true.
func (a *invocation) dropFlag(flag string) bool {
	i := slices.Index(a.args, "--"+flag)
	a.args = slices.Delete(slices.Clone(a.args), i, i+2)
	return true
}

// eachInput calls change for all inputs, and tells whether one of the calls returned true.
func (a *invocation) eachInput(change func(loginInput) bool) (changed bool) {
	for _, in := range loginInputs {
		changed = change(in) || changed
	}
	return changed
}

// unset takes a variable away, and tells whether it was there.
func (a *invocation) unset(variable string) bool {
	_, there := a.env[variable]
	delete(a.env, variable)
	return there
}

// login is the method, as both programs find it.
func (a *invocation) login() string {
	typed := a.flags()
	if method := a.env["AAD_LOGIN_METHOD"]; method != "" && typed["disable-environment-override"] == "" {
		return method
	}
	return typed["login"]
}

// clientIDIsIdentity is a method whose client ID names the login itself.
func (a *invocation) clientIDIsIdentity() bool {
	return slices.Contains([]string{"spn", "msi", "workloadidentity", "azurepipelines"}, a.login())
}
