package main

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/token"
)

// loginCase is a run of get-token. Its words are separated by blanks, and $NAMES in them stand for values of the run's surroundings.
type loginCase struct {
	name  string
	args  string // what is typed after get-token
	env   string // NAME=value words
	first string // a program that is run before: somebody signs in to a tool
}

// Parts of command lines.
const (
	toAKS        = "--server-id $SERVER_ID "
	byIDs        = toAKS + "--tenant-id $TENANT --client-id $CLIENT "
	byPerson     = toAKS + "--tenant-id $TENANT --client-id $PUBLIC "
	usGovernment = "AzureUSGovernmentCloud"

	azLogin      = "az login -u $ALICE -p $PASSWORD"
	azdLogin     = "azd auth login --username $ALICE --password $PASSWORD"
	inAppService = "IDENTITY_ENDPOINT=$ENDPOINT IDENTITY_HEADER=$HEADER " // without it the machine's own IMDS would be asked, which no test may do
	inPipeline   = "SYSTEM_OIDCREQUESTURI=$OIDC_URI SYSTEM_ACCESSTOKEN=$SYSTEM_TOKEN "
	inWorkflow   = "ACTIONS_ID_TOKEN_REQUEST_URL=$GITHUB_URL ACTIONS_ID_TOKEN_REQUEST_TOKEN=$GITHUB_TOKEN "
	nobodyThere  = `KUBERNETES_EXEC_INFO={"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","spec":{"interactive":false}}`
)

// loginCases are those that are not made of combinations.
var loginCases = []loginCase{
	{"spn", byIDs + "--login spn --client-secret $SECRET", "", ""},
	{"spn, wrong secret", byIDs + "--login spn --client-secret wrong", "", ""},
	{"spn, no secret", byIDs + "--login spn", "", ""},
	{"spn, short flags and spellings", "-l=spn -t $TENANT --client-id=$CLIENT -eAzurePublicCloud --server-id $SERVER_ID --client-secret=$SECRET -v=5 --logtostderr=true", "", ""},
	{"spn, method in a variable", byIDs + "--login devicecode --client-secret $SECRET", "AAD_LOGIN_METHOD=spn", ""},
	{"spn, method in a variable that is not read", byIDs + "--login spn --client-secret $SECRET --disable-environment-override", "AAD_LOGIN_METHOD=devicecode", ""},
	{"spn, tenant by its domain", toAKS + "--tenant-id contoso.example --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, IDs in capitals", toAKS + "--tenant-id $CAPITAL_TENANT --client-id $CAPITAL_CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, another server", "--server-id $OTHER_SERVER_ID --tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, server as a scope", "--server-id $SERVER_ID/.default --tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, server with a slash", "--server-id $SERVER_ID/ --tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, no server", "--tenant-id $TENANT --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, certificate", byIDs + "--login spn --client-certificate $CERT", "", ""},
	{"spn, certificate with a chain", byIDs + "--login spn --client-certificate $CHAIN", "", ""},
	{"spn, certificate behind its chain", byIDs + "--login spn --client-certificate $CHAIN_FIRST", "", ""},
	{"spn, PFX", byIDs + "--login spn --client-certificate $PFX --client-certificate-password $PFX_PASSWORD", "", ""},
	{"spn, PFX of AES", byIDs + "--login spn --client-certificate $MODERN_PFX --client-certificate-password $PFX_PASSWORD", "", ""},
	{"spn, PFX by another name", byIDs + "--login spn --client-certificate $P12 --client-certificate-password $PFX_PASSWORD", "", ""},
	{"spn, PFX, wrong password", byIDs + "--login spn --client-certificate $PFX --client-certificate-password wrong", "", ""},
	{"spn, key of PKCS #1", byIDs + "--login spn --client-certificate $PKCS1", "", ""},
	{"spn, unknown certificate", byIDs + "--login spn --client-certificate $UNKNOWN_CERT", "", ""},
	{"spn, secret and certificate", byIDs + "--login spn --client-certificate $CERT --client-secret $SECRET", "", ""},
	{"spn, secret and certificate in variables", byIDs + "--login spn", "AZURE_CLIENT_CERTIFICATE_PATH=$CERT AZURE_CLIENT_SECRET=$SECRET", ""},
	{"spn, secret, and a certificate in the air", byIDs + "--login spn --client-secret $SECRET", "AZURE_CLIENT_CERTIFICATE_PATH=$CERT", ""},
	{"spn, certificate, and a secret in the air", byIDs + "--login spn --client-certificate $CERT", "AZURE_CLIENT_SECRET=$SECRET", ""},
	{"spn, PFX in variables", byIDs + "--login spn", "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE=$PFX AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE_PASSWORD=$PFX_PASSWORD", ""},
	{"spn, PFX in the SDK's variables", byIDs + "--login spn", "AZURE_CLIENT_CERTIFICATE_PATH=$PFX AZURE_CLIENT_CERTIFICATE_PASSWORD=$PFX_PASSWORD", ""},
	{"spn, PFX in Terraform's variables", toAKS + "--login spn --use-azurerm-env-vars", "ARM_CLIENT_ID=$CLIENT ARM_TENANT_ID=$TENANT ARM_CLIENT_CERTIFICATE_PATH=$PFX ARM_CLIENT_CERTIFICATE_PASSWORD=$PFX_PASSWORD", ""},
	{"spn, Terraform's variables unasked", byIDs + "--login spn --client-secret $SECRET", "ARM_CLIENT_ID=$OTHER_CLIENT ARM_TENANT_ID=$OTHER_TENANT ARM_CLIENT_SECRET=$OTHER_SECRET", ""},
	{"spn, empty variables", byIDs + "--login spn --client-secret $SECRET", "AZURE_CLIENT_ID= AZURE_TENANT_ID= AAD_SERVICE_PRINCIPAL_CLIENT_SECRET=", ""},
	{"spn, the public client", byPerson + "--login spn --client-secret $SECRET", "", ""},
	{"spn, the public client and a variable", byPerson + "--login spn --client-secret $SECRET", "AZURE_CLIENT_ID=$CLIENT", ""},
	{"spn, no discovery", byIDs + "--login spn --client-secret $SECRET --disable-instance-discovery", "", ""},
	{"spn, authority host", byIDs + "--login spn --client-secret $SECRET --authority-host https://login.microsoftonline.us/", "", ""},
	{"spn, authority host without a slash", byIDs + "--login spn --client-secret $SECRET --authority-host https://login.microsoftonline.us", "", ""},
	{"spn, authority host beats the environment", byIDs + "--login spn --client-secret $SECRET --authority-host https://login.microsoftonline.us/ -e AzureChinaCloud", "", ""},
	{"spn, authority host of a private cloud", byIDs + "--login spn --client-secret $SECRET --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"spn, authority host in a variable", byIDs + "--login spn --client-secret $SECRET", "AZURE_AUTHORITY_HOST=https://login.microsoftonline.us/", ""},
	{"spn, shared tenant", toAKS + "--tenant-id common --client-id $CLIENT --login spn --client-secret $SECRET", "", ""},
	{"spn, legacy", byIDs + "--login spn --client-secret $SECRET --legacy", "", ""},
	{"spn, PoP", byIDs + "--login spn --client-secret $SECRET --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"spn, PoP with more claims", byIDs + "--login spn --client-secret $SECRET --pop-enabled --pop-claims a=b,u=$ARM_ID", "", ""},
	{"spn, PoP with a certificate", byIDs + "--login spn --client-certificate $CERT --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"spn, PoP in China", byIDs + "--login spn --client-secret $SECRET --pop-enabled --pop-claims u=$ARM_ID -e AzureChinaCloud", "", ""},
	{"spn, PoP in a private cloud", byIDs + "--login spn --client-certificate $CERT --pop-enabled --pop-claims u=$ARM_ID --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"spn, PoP without claims", byIDs + "--login spn --client-secret $SECRET --pop-enabled", "", ""},
	{"spn, PoP claims alone", byIDs + "--login spn --client-secret $SECRET --pop-claims u=$ARM_ID", "", ""},

	{"spn, US government", byIDs + "--login spn --client-secret $SECRET -e " + usGovernment, "", ""},
	{"spn, US government by its other name", byIDs + "--login spn --client-secret $SECRET -e azureusgovernment", "", ""},
	{"spn, China", byIDs + "--login spn --client-secret $SECRET --environment AzureChinaCloud", "", ""},
	{"spn, public by another name", byIDs + "--login spn --client-secret $SECRET --environment AZURECLOUD", "", ""},
	{"spn, unknown environment", byIDs + "--login spn --client-secret $SECRET --environment AzureGermanCloud", "", ""},

	{"ropc", byPerson + "--login ropc --username $ALICE --password $PASSWORD", "", ""},
	{"ropc, wrong password", byPerson + "--login ropc --username $ALICE --password wrong", "", ""},
	{"ropc, US government", byPerson + "--login ropc --username $ALICE --password $PASSWORD -e " + usGovernment, "", ""},
	{"ropc, private cloud", byPerson + "--login ropc --username $ALICE --password $PASSWORD --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"ropc, shared tenant", toAKS + "--tenant-id organizations --client-id $PUBLIC --login ropc --username $ALICE --password $PASSWORD", "", ""},
	{"ropc, PoP", byPerson + "--login ropc --username $ALICE --password $PASSWORD --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"ropc, PoP in China", byPerson + "--login ropc --username $ALICE --password $PASSWORD --pop-enabled --pop-claims u=$ARM_ID -e AzureChinaCloud", "", ""},
	{"ropc, legacy", byPerson + "--login ropc --username $ALICE --password $PASSWORD --legacy", "", ""},
	{"ropc, client in a variable", byPerson + "--login ropc --username $ALICE --password $PASSWORD", "AAD_SERVICE_PRINCIPAL_CLIENT_ID=$CLI", ""},
	{"ropc, no password", byPerson + "--login ropc --username $ALICE", "", ""},

	{"devicecode", byPerson + "--login devicecode", "", ""},
	{"devicecode by default", byPerson, "", ""},
	{"devicecode, China", byPerson + "--login devicecode -e AzureChinaCloud", "", ""},
	{"devicecode, private cloud", byPerson + "--login devicecode --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"devicecode, shared tenant", toAKS + "--tenant-id organizations --client-id $PUBLIC --login devicecode", "", ""},
	{"devicecode, IDs in variables", toAKS + "--login devicecode", "AZURE_TENANT_ID=$TENANT AZURE_CLIENT_ID=$PUBLIC", ""},
	{"devicecode, client in kubelogin's variable", byPerson + "--login devicecode", "AAD_SERVICE_PRINCIPAL_CLIENT_ID=$CLI", ""},
	{"devicecode, another client in the air", byPerson + "--login devicecode", "AZURE_CLIENT_ID=$CLI", ""},
	{"devicecode, legacy", byPerson + "--login devicecode --legacy", "", ""},
	{"devicecode, PoP", byPerson + "--login devicecode --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"devicecode, nobody there", byPerson + "--login devicecode", nobodyThere, ""},
	{"devicecode, no client", toAKS + "--login devicecode --tenant-id $TENANT", "", ""},

	{"interactive", byPerson + "--login interactive", "", ""},
	{"interactive, login hint", byPerson + "--login interactive --login-hint $ALICE", "", ""},
	{"interactive, redirect URL", byPerson + "--login interactive --redirect-url http://localhost:$PORT", "", ""},
	{"interactive, US government", byPerson + "--login interactive -e " + usGovernment, "", ""},
	{"interactive, authority host", byPerson + "--login interactive --authority-host https://login.microsoftonline.us/", "", ""},
	{"interactive, tenant in a variable", toAKS + "--login interactive --client-id $PUBLIC", "AZURE_TENANT_ID=$TENANT", ""},
	{"interactive, shared tenant", toAKS + "--tenant-id organizations --client-id $PUBLIC --login interactive", "", ""},
	{"interactive, legacy", byPerson + "--login interactive --legacy", "", ""},
	{"interactive, PoP", byPerson + "--login interactive --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"interactive, PoP with a hint", byPerson + "--login interactive --pop-enabled --pop-claims u=$ARM_ID --login-hint $ALICE --redirect-url http://localhost:$PORT", "", ""},

	{"msi", toAKS + "--login msi", inAppService, ""},
	{"msi, client ID", toAKS + "--login msi --client-id $IDENTITY", inAppService, ""},
	{"msi, client ID in a variable", toAKS + "--login msi", inAppService + "AZURE_CLIENT_ID=$IDENTITY", ""},
	{"msi, client ID in kubelogin's variable", toAKS + "--login msi", inAppService + "AAD_SERVICE_PRINCIPAL_CLIENT_ID=$IDENTITY", ""},
	{"msi, resource ID", toAKS + "--login msi --identity-resource-id $IDENTITY_ID", inAppService, ""},
	{"msi, both IDs", toAKS + "--login msi --identity-resource-id $IDENTITY_ID --client-id $MACHINE", inAppService, ""},
	{"msi, resource ID and a variable", toAKS + "--login msi --identity-resource-id $IDENTITY_ID", inAppService + "AZURE_CLIENT_ID=$MACHINE", ""},
	{"msi, the public client", toAKS + "--login msi --client-id $PUBLIC", inAppService, ""},
	{"msi, unknown identity", toAKS + "--login msi --client-id $CLIENT", inAppService, ""},
	{"msi, another server", "--server-id $OTHER_SERVER_ID/.default --login msi", inAppService, ""},
	{"msi, environment", toAKS + "--login msi -e AzureChinaCloud", inAppService, ""},
	{"msi, shared tenant", toAKS + "--login msi --tenant-id common", inAppService, ""},
	{"msi, PoP", toAKS + "--login msi --pop-enabled --pop-claims u=$ARM_ID", inAppService, ""},
	{"msi, legacy", toAKS + "--login msi --legacy", inAppService, ""},

	{"azurecli", toAKS + "--login azurecli", "", azLogin},
	{"azurecli, tenant", toAKS + "--login azurecli --tenant-id $TENANT", "", azLogin},
	{"azurecli, tenant in a variable", toAKS + "--login azurecli", "AZURE_TENANT_ID=$TENANT", azLogin},
	{"azurecli, another tenant", toAKS + "--login azurecli --tenant-id $OTHER_TENANT", "", azLogin},
	{"azurecli, subscription", toAKS + "--login azurecli --subscription $OTHER_SUBSCRIPTION", "", azLogin},
	{"azurecli, subscription by name", toAKS + "--login azurecli -s $SUBSCRIPTION_NAME", "", azLogin},
	{"azurecli, tenant and subscription", toAKS + "--login azurecli --tenant-id $TENANT -s $SUBSCRIPTION", "", azLogin},
	{"azurecli, subscription, and a tenant in the air", toAKS + "--login azurecli -s $SUBSCRIPTION", "AZURE_TENANT_ID=$OTHER_TENANT", azLogin},
	{"azurecli, another server", "--server-id $OTHER_SERVER_ID --login azurecli", "", azLogin},
	{"azurecli, its folder", toAKS + "--login azurecli", "AZURE_CONFIG_DIR=$HOME/elsewhere", azLogin},
	{"azurecli, nobody signed in", toAKS + "--login azurecli", "", ""},
	{"azurecli, PoP", toAKS + "--login azurecli --pop-enabled --pop-claims u=$ARM_ID", "", azLogin},
	{"azurecli, method in a variable", toAKS, "AAD_LOGIN_METHOD=azurecli", azLogin},

	{"azd", toAKS + "--login azd", "", azdLogin},
	{"azd, tenant", toAKS + "--login azd --tenant-id $TENANT", "", azdLogin},
	{"azd, another server", "--server-id $OTHER_SERVER_ID/.default --login azd", "", azdLogin},
	{"azd, PoP", toAKS + "--login azd --pop-enabled --pop-claims u=$ARM_ID", "", azdLogin},
	{"azd, nobody signed in", toAKS + "--login azd", "", ""},

	{"workloadidentity", byIDs + "--login workloadidentity --federated-token-file $TOKEN", "", ""},
	{"workloadidentity, file with a line's end", byIDs + "--login workloadidentity --federated-token-file $TOKEN_LINE", "", ""},
	{"workloadidentity, the webhook's variables", toAKS + "--login workloadidentity", "AZURE_CLIENT_ID=$CLIENT AZURE_TENANT_ID=$TENANT AZURE_FEDERATED_TOKEN_FILE=$TOKEN AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity by default", toAKS, "AZURE_CLIENT_ID=$CLIENT AZURE_TENANT_ID=$TENANT AZURE_FEDERATED_TOKEN_FILE=$TOKEN AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity, flags against the webhook", byIDs + "--login workloadidentity --federated-token-file $TOKEN --authority-host https://login.microsoftonline.us/", "AZURE_CLIENT_ID=$OTHER_CLIENT AZURE_TENANT_ID=$OTHER_TENANT AZURE_FEDERATED_TOKEN_FILE=/nowhere AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity, flags, the webhook's variables not read", byIDs + "--login workloadidentity --federated-token-file $TOKEN --disable-environment-override", "AZURE_CLIENT_ID=$OTHER_CLIENT AZURE_TENANT_ID=$OTHER_TENANT AZURE_FEDERATED_TOKEN_FILE=/nowhere", ""},
	{"workloadidentity, the public client", byPerson + "--login workloadidentity --federated-token-file $TOKEN", "AZURE_CLIENT_ID=$CLIENT", ""},
	{"workloadidentity, environment", byIDs + "--login workloadidentity --federated-token-file $TOKEN -e " + usGovernment, "", ""},
	{"workloadidentity, private cloud", byIDs + "--login workloadidentity --federated-token-file $TOKEN --authority-host $ENTRA/ --disable-instance-discovery", "", ""},
	{"workloadidentity, environment against the webhook", byIDs + "--login workloadidentity --federated-token-file $TOKEN -e " + usGovernment, "AZURE_AUTHORITY_HOST=https://login.microsoftonline.com/", ""},
	{"workloadidentity, no file there", byIDs + "--login workloadidentity --federated-token-file /nowhere", "", ""},
	{"workloadidentity, Terraform's variables", toAKS + "--login workloadidentity --use-azurerm-env-vars --federated-token-file $TOKEN", "ARM_CLIENT_ID=$CLIENT ARM_TENANT_ID=$TENANT", ""},
	{"workloadidentity, Terraform's variables and the webhook's", toAKS + "--login workloadidentity --use-azurerm-env-vars", "ARM_CLIENT_ID=$CLIENT ARM_TENANT_ID=$TENANT AZURE_CLIENT_ID=$OTHER_CLIENT AZURE_TENANT_ID=$OTHER_TENANT AZURE_FEDERATED_TOKEN_FILE=$TOKEN", ""},
	{"workloadidentity, GitHub", byIDs + "--login workloadidentity", inWorkflow, ""},
	{"workloadidentity, GitHub, China", toAKS + "--tenant-id $TENANT --client-id $OTHER_CLIENT --login workloadidentity -e AzureChinaCloud", inWorkflow, ""},
	{"workloadidentity, GitHub and a file", byIDs + "--login workloadidentity --federated-token-file $TOKEN", inWorkflow, ""},
	{"workloadidentity, GitHub and the webhook's file", byIDs + "--login workloadidentity", inWorkflow + "AZURE_FEDERATED_TOKEN_FILE=$TOKEN", ""},
	{"workloadidentity, PoP", byIDs + "--login workloadidentity --federated-token-file $TOKEN --pop-enabled --pop-claims u=$ARM_ID", "", ""},
	{"workloadidentity, legacy", byIDs + "--login workloadidentity --federated-token-file $TOKEN --legacy", "", ""},

	{"azurepipelines", byIDs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION", inPipeline, ""},
	{"azurepipelines, variables", toAKS + "--login azurepipelines", inPipeline + "AZURESUBSCRIPTION_CLIENT_ID=$CLIENT AZURESUBSCRIPTION_TENANT_ID=$TENANT AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=$CONNECTION", ""},
	{"azurepipelines, flags and variables", byIDs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION", inPipeline + "AZURESUBSCRIPTION_CLIENT_ID=$OTHER_CLIENT AZURESUBSCRIPTION_TENANT_ID=$OTHER_TENANT AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=$TENANT", ""},
	{"azurepipelines, both kinds of variables", toAKS + "--login azurepipelines", inPipeline + "AZURE_CLIENT_ID=$CLIENT AZURE_TENANT_ID=$TENANT AZURESUBSCRIPTION_CLIENT_ID=$OTHER_CLIENT AZURESUBSCRIPTION_TENANT_ID=$OTHER_TENANT AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=$CONNECTION", ""},
	{"azurepipelines, the public client", byPerson + "--login azurepipelines", inPipeline + "AZURESUBSCRIPTION_CLIENT_ID=$CLIENT AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=$CONNECTION", ""},
	{"azurepipelines, variables not read", toAKS + "--login azurepipelines --disable-environment-override", inPipeline + "AZURESUBSCRIPTION_CLIENT_ID=$CLIENT AZURESUBSCRIPTION_TENANT_ID=$TENANT AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=$CONNECTION", ""},
	{"azurepipelines, unknown connection", byIDs + "--login azurepipelines --azure-pipelines-service-connection-id $TENANT", inPipeline, ""},
	{"azurepipelines, no job", byIDs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION", "", ""},
	{"azurepipelines, US government", byIDs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION -e " + usGovernment, inPipeline, ""},
	{"azurepipelines, kubelogin's variable", byIDs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION", inPipeline + "AAD_SERVICE_PRINCIPAL_CLIENT_ID=$OTHER_CLIENT", ""},
	{"azurepipelines, PoP", byIDs + "--login azurepipelines --azure-pipelines-service-connection-id $CONNECTION --pop-enabled --pop-claims u=$ARM_ID", inPipeline, ""},

	{"unknown method", byIDs + "--login oidc", "", ""},
	{"no time", byIDs + "--login spn --client-secret $SECRET --timeout 0s", "", ""},
}

// Kinds of sources that an input comes from.
const (
	fromFlag, fromKubelogins, fromSDKs, fromTerraforms, fromPipelines = "a flag", "AAD_*", "AZURE_*", "ARM_*", "AZURESUBSCRIPTION_*"
)

// A loginInput is what a flag and variables of several kinds give.
type loginInput struct {
	flag      string
	variables map[string]string // by kind
	values    map[string]string // by kind, in the combinations
}

var loginInputs = []loginInput{
	{"client-id", map[string]string{fromKubelogins: "AAD_SERVICE_PRINCIPAL_CLIENT_ID", fromSDKs: "AZURE_CLIENT_ID", fromTerraforms: "ARM_CLIENT_ID", fromPipelines: "AZURESUBSCRIPTION_CLIENT_ID"},
		map[string]string{fromFlag: "$CLIENT", fromKubelogins: "$OTHER_CLIENT", fromSDKs: "$SDKS_CLIENT", fromTerraforms: "$TERRAFORMS_CLIENT"}},
	{"tenant-id", map[string]string{fromSDKs: "AZURE_TENANT_ID", fromTerraforms: "ARM_TENANT_ID", fromPipelines: "AZURESUBSCRIPTION_TENANT_ID"},
		map[string]string{fromFlag: "$TENANT", fromSDKs: "$OTHER_TENANT", fromTerraforms: "contoso.example"}},
	{"client-secret", map[string]string{fromKubelogins: "AAD_SERVICE_PRINCIPAL_CLIENT_SECRET", fromSDKs: "AZURE_CLIENT_SECRET", fromTerraforms: "ARM_CLIENT_SECRET"},
		map[string]string{fromFlag: "$SECRET", fromKubelogins: "$OTHER_SECRET", fromSDKs: "sdks-secret-in-tests", fromTerraforms: "terraforms-secret-in-tests"}},
	{"client-certificate", map[string]string{fromKubelogins: "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE", fromSDKs: "AZURE_CLIENT_CERTIFICATE_PATH", fromTerraforms: "ARM_CLIENT_CERTIFICATE_PATH"},
		map[string]string{fromFlag: "$CERT", fromKubelogins: "$OTHER_CERT", fromSDKs: "$SDKS_CERT", fromTerraforms: "$TERRAFORMS_CERT"}},
	{"client-certificate-password", map[string]string{fromKubelogins: "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE_PASSWORD", fromSDKs: "AZURE_CLIENT_CERTIFICATE_PASSWORD", fromTerraforms: "ARM_CLIENT_CERTIFICATE_PASSWORD"}, nil},
	{"username", map[string]string{fromKubelogins: "AAD_USER_PRINCIPAL_NAME", fromSDKs: "AZURE_USERNAME"},
		map[string]string{fromFlag: "$ALICE", fromKubelogins: "$BOB", fromSDKs: "$CAROL"}},
	{"password", map[string]string{fromKubelogins: "AAD_USER_PRINCIPAL_PASSWORD", fromSDKs: "AZURE_PASSWORD"},
		map[string]string{fromFlag: "$PASSWORD", fromKubelogins: "$OTHER_PASSWORD", fromSDKs: "wrong"}},
	{"federated-token-file", map[string]string{fromSDKs: "AZURE_FEDERATED_TOKEN_FILE"}, nil},
	{"authority-host", map[string]string{fromSDKs: "AZURE_AUTHORITY_HOST"}, nil},
	{"azure-pipelines-service-connection-id", map[string]string{fromPipelines: "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"}, nil},
}

// combinations give every input of a method by each kind of source, by every two and by all. An input that no source of these gives stands on the command line.
func combinations() (cases []loginCase) {
	const notOverriding = " --disable-environment-override"
	kinds := []string{fromFlag, fromKubelogins, fromSDKs, fromTerraforms}
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
				c := loginCase{name: m.name + " by " + strings.Join(set, " and ") + mode, args: toAKS + "--login " + m.login + mode}
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

// asked is a case as a program is asked.
type asked struct {
	args  []string
	env   map[string]string
	first string
}

func (c loginCase) asked() asked {
	a := asked{args: strings.Fields(c.args), env: map[string]string{}, first: c.first}
	for word := range strings.FieldsSeq(c.env) {
		name, value, _ := strings.Cut(word, "=")
		a.env[name] = value
	}
	return a
}

// typed are the flags with their values. The last of a flag counts.
func (a *asked) typed() map[string]string {
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

func (a *asked) on(flag string) bool { return a.typed()[flag] == "true" }

// flag types a flag in the place of what is typed. It returns true.
func (a *asked) flag(flag, value string) bool {
	a.args = append(a.args, "--"+flag, value)
	return true
}

// drop takes a flag away that is typed as two words. It returns true.
func (a *asked) drop(flag string) bool {
	i := slices.Index(a.args, "--"+flag)
	a.args = slices.Delete(slices.Clone(a.args), i, i+2)
	return true
}

// eachInput calls change for all inputs, and tells whether one of the calls returned true.
func (a *asked) eachInput(change func(loginInput) bool) (changed bool) {
	for _, in := range loginInputs {
		changed = change(in) || changed
	}
	return changed
}

// unset takes a variable away, and tells whether it was there.
func (a *asked) unset(variable string) bool {
	_, there := a.env[variable]
	delete(a.env, variable)
	return there
}

// login is the method, as both programs find it.
func (a *asked) login() string {
	typed := a.typed()
	if method := a.env["AAD_LOGIN_METHOD"]; method != "" && typed["disable-environment-override"] == "" {
		return method
	}
	return typed["login"]
}

// ownsItsClient is a method whose client ID names the login itself.
func (a *asked) ownsItsClient() bool {
	return slices.Contains([]string{"spn", "msi", "workloadidentity", "azurepipelines"}, a.login())
}

// loginOutcome is what a run sent, which tools it ran, and what it ended with.
type loginOutcome struct {
	sent  []sentRequest
	ran   []string
	ended string // whose token it printed, or "failed"
	words string // what it said, for people
}

// wrong begins the line of a request that no well-behaved program sends.
const wrong = "wrong: "

// sentRequest is a request with all that can be compared of it.
type sentRequest struct {
	line   string            // method, host and path
	fields map[string]string // of the query, the form and the headers
}

func (o loginOutcome) lines() (lines []string) {
	for _, r := range o.sent {
		line := r.line
		for _, name := range slices.Sorted(maps.Keys(r.fields)) {
			line += " " + name + "=" + r.fields[name]
		}
		if len(lines) == 0 || lines[len(lines)-1] != line { // a poll, or another try
			lines = append(lines, line)
		}
	}
	return slices.Concat(lines, o.ran, []string{o.ended})
}

// nothing is what comes of a refusal before anything is sent.
func (o *loginOutcome) nothing() bool {
	changed := len(o.sent) > 0 || len(o.ran) > 0 || o.ended != "failed"
	o.sent, o.ran, o.ended = nil, nil, "failed"
	return changed
}

// change sets fields of the requests that fit, and tells whether that changed something.
func (o *loginOutcome) change(fits func(sentRequest) bool, fields map[string]string) (changed bool) {
	for _, r := range o.sent {
		if !fits(r) {
			continue
		}
		for name, value := range fields {
			changed = changed || r.fields[name] != value
			if r.fields[name] = value; value == "" {
				delete(r.fields, name)
			}
		}
	}
	return changed
}

func sentTo(endpoint string) func(sentRequest) bool {
	return func(r sentRequest) bool { return strings.HasSuffix(r.line, endpoint) }
}

// loginRun is one program with surroundings of its own.
type loginRun struct {
	t      *testing.T
	folder string
	server *entratest.Server
	values map[string]string

	mutex    sync.Mutex
	ends     []func()
	problems []string // what no well-behaved client would send
}

// The methods of an entratest.TB: what is wrong is a part of the outcome.

func (r *loginRun) Errorf(format string, args ...any) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}
func (r *loginRun) Fatalf(format string, args ...any) { r.t.Fatalf(format, args...) }
func (r *loginRun) Cleanup(end func())                { r.ends = append(r.ends, end) }
func (r *loginRun) TempDir() string                   { return r.t.TempDir() }

// More who are known in these runs, so that every combination can log in.
const (
	sdksClient       = "22222222-bbbb-4444-8888-000000000003"
	terraformsClient = "22222222-bbbb-4444-8888-000000000004"

	popCluster = "/subscriptions/" + subscription + "/resourceGroups/g/providers/Microsoft.Kubernetes/connectedClusters/c"
)

func newLoginRun(t *testing.T) *loginRun {
	r := &loginRun{t: t, folder: t.TempDir(), values: map[string]string{}}
	s := entratest.New(r)
	r.server = s
	populate(s)
	certificates := map[string]*x509.Certificate{}
	for variable, name := range map[string]string{"OTHER_CERT": otherClient, "SDKS_CERT": sdksClient, "TERRAFORMS_CERT": terraformsClient} {
		certificate, key := entratest.Certificate(name)
		certificates[name] = certificate
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		r.values[variable] = r.file(variable+".pem", slices.Concat(pemOf("CERTIFICATE", certificate.Raw), pemOf("PRIVATE KEY", der)))
	}
	trust := []entratest.FederatedCredential{{Issuer: s.Issuer, Subject: subject}, serviceConnection.Trust()}
	for _, audience := range []string{"", "api://AzureADTokenExchangeChina"} {
		trust = append(trust, entratest.FederatedCredential{Issuer: "https://token.actions.githubusercontent.com", Subject: gitHubSubject, Audience: audience})
	}
	for _, in := range []string{tenant, otherTenant} {
		for id, secret := range map[string]string{otherClient: otherSecret, sdksClient: "sdks-secret-in-tests", terraformsClient: "terraforms-secret-in-tests"} {
			s.Register(entratest.App{Tenant: in, ClientID: id, Secrets: []string{secret}, Certificates: []*x509.Certificate{certificates[id]}, Federated: trust})
		}
	}
	federated := s.Assertion(entratest.Claims{Subject: subject})
	r.values["TOKEN"] = r.file("federated-token", []byte(federated))
	r.values["TOKEN_LINE"] = r.file("federated-token-line", []byte(federated+"\n"))
	r.writeCertificates()
	endpoint, header := s.AppService()
	oidcURI, systemToken := s.Pipeline(serviceConnection)
	gitHubURL, gitHubToken := s.GitHub(gitHubSubject)
	maps.Copy(r.values, map[string]string{
		"HOME": filepath.Join(r.folder, "home"), "ENTRA": s.URL, "ENDPOINT": endpoint, "HEADER": header, "OIDC_URI": oidcURI, "SYSTEM_TOKEN": systemToken,
		"GITHUB_URL": gitHubURL, "GITHUB_TOKEN": gitHubToken, "PORT": strconv.Itoa(freePort(t.Fatal)),
		"SERVER_ID": entratest.AKSServerID, "OTHER_SERVER_ID": otherServerID, "TENANT": tenant, "OTHER_TENANT": otherTenant, "CLIENT": client, "OTHER_CLIENT": otherClient,
		"SDKS_CLIENT": sdksClient, "TERRAFORMS_CLIENT": terraformsClient, "PUBLIC": token.PublicClient, "CLI": cliClient,
		"CAPITAL_TENANT": strings.ToUpper(tenant), "CAPITAL_CLIENT": strings.ToUpper(client), "SECRET": secret, "OTHER_SECRET": otherSecret,
		"ALICE": alice, "BOB": bob, "CAROL": carol, "PASSWORD": password, "OTHER_PASSWORD": otherPassword, "PFX_PASSWORD": certificatePassword, "ARM_ID": popCluster,
		"MACHINE": machine, "IDENTITY": identity, "IDENTITY_ID": identityID, "CONNECTION": serviceConnection.ID,
		"SUBSCRIPTION": subscription, "OTHER_SUBSCRIPTION": otherSubscription, "SUBSCRIPTION_NAME": "Dev and Test",
	})
	return r
}

// file writes one and returns its path.
func (r *loginRun) file(name string, content []byte) string {
	path := filepath.Join(r.folder, name)
	if err := os.WriteFile(path, content, 0o700); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// writeCertificates writes the first client's certificate in the forms that files have.
func (r *loginRun) writeCertificates() {
	content := map[string][]byte{}
	for _, name := range []string{"client.pem", "client.pfx", "client-aes256.pfx"} {
		var err error
		if content[name], err = os.ReadFile(filepath.Join(certificateFolder, name)); err != nil {
			r.t.Fatal(err)
		}
	}
	certificate, rest := pem.Decode(content["client.pem"])
	key, _ := pem.Decode(rest)
	parsed, err := x509.ParsePKCS8PrivateKey(key.Bytes)
	if err != nil {
		r.t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(parsed.(*rsa.PrivateKey))
	issuer, _ := entratest.Certificate("issuer")
	own, above := pemOf("CERTIFICATE", certificate.Bytes), pemOf("CERTIFICATE", issuer.Raw)
	r.values["CERT"] = r.file("client.pem", content["client.pem"])
	r.values["CHAIN"] = r.file("chain.pem", slices.Concat(own, above, pemOf("PRIVATE KEY", key.Bytes)))
	r.values["CHAIN_FIRST"] = r.file("chain-first.pem", slices.Concat(pemOf("PRIVATE KEY", key.Bytes), above, own))
	r.values["PKCS1"] = r.file("pkcs1.pem", slices.Concat(own, pemOf("RSA PRIVATE KEY", pkcs1)))
	r.values["UNKNOWN_CERT"] = r.file("unknown.pem", unknownCertificate())
	r.values["PFX"] = r.file("client.pfx", content["client.pfx"])
	r.values["P12"] = r.file("client.p12", content["client.pfx"])
	r.values["MODERN_PFX"] = r.file("modern.pfx", content["client-aes256.pfx"])
}

// freePort is a port of localhost that nobody listens at now.
func (r *loginRun) expand(text string) string {
	return os.Expand(text, func(name string) string {
		value, known := r.values[name]
		if !known {
			r.t.Fatalf("no value $%s", name)
		}
		return value
	})
}

// environment is what a program finds: a home, the programs of tests before others, and the emulator in the place of all hosts.
func (r *loginRun) environment(a asked) []string {
	programs := filepath.Join(r.folder, "bin")
	for _, folder := range []string{programs, r.values["HOME"]} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			r.t.Fatal(err)
		}
	}
	executable, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, name := range []string{"az", "azd", "signin", "keyless"} {
		if err := os.Symlink(executable, filepath.Join(programs, name)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.file("bin/xdg-open", []byte("#!/bin/sh\nexec signin \"$@\"\n"))
	all := map[string]string{
		"HOME": r.values["HOME"], "PATH": programs + ":/usr/bin:/bin", "HTTPS_PROXY": r.server.ProxyURL, "SSL_CERT_FILE": r.server.CAFile, "SSL_CERT_DIR": r.folder,
		"FAKE_LOG": filepath.Join(r.folder, "fake.log"), "SIGNIN_USER": alice, "SIGNIN_PASSWORD": password,
		"KUBERNETES_EXEC_INFO": strings.ReplaceAll(strings.TrimPrefix(nobodyThere, "KUBERNETES_EXEC_INFO="), "false", "true"),
	}
	for name, value := range a.env {
		all[name] = r.expand(value)
	}
	var env []string
	for name, value := range all {
		env = append(env, name+"="+value)
	}
	return env
}

// do runs a program to its end.
func (r *loginRun) do(env []string, program string, args ...string) (stdout, words string, err error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	if !strings.Contains(program, "/") {
		program = filepath.Join(r.folder, "bin", program)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, r.folder, &out, &errs
	err = cmd.Run()
	if ctx.Err() != nil {
		r.t.Errorf("%s %q does not end: %s", program, args, errs.String())
	}
	return out.String(), errs.String(), err
}

// runLogin runs a program, by its command line up to get-token, and looks at everything that it does.
func runLogin(t *testing.T, a asked, program ...string) loginOutcome {
	r := newLoginRun(t)
	defer func() {
		for _, end := range slices.Backward(r.ends) {
			end()
		}
	}()
	if a.login() == "msi" && a.env["IDENTITY_ENDPOINT"] == "" {
		t.Fatal("the metadata service of the machine that this runs on would be asked")
	}
	env := r.environment(a)
	if words := strings.Fields(a.first); len(words) > 0 {
		for i := range words {
			words[i] = r.expand(words[i])
		}
		if _, said, err := r.do(env, words[0], words[1:]...); err != nil {
			t.Fatalf("%s: %v\n%s", a.first, err, said)
		}
		if err := os.Remove(filepath.Join(r.folder, "fake.log")); err != nil {
			t.Fatal(err)
		}
		r.server.ResetCounters()
	}
	args := slices.Clone(program[1:])
	for _, arg := range a.args {
		args = append(args, r.expand(arg))
	}
	stop := r.approve()
	stdout, words, err := r.do(env, program[0], args...)
	stop()
	o := loginOutcome{ended: "failed", words: words, sent: r.sent(), ran: r.tools()}
	if err == nil {
		o.ended = r.ended(stdout)
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, problem := range r.problems {
		o.sent = append(o.sent, sentRequest{line: wrong + problem})
	}
	return o
}

// approve lets a person sign in wherever a device code is given out, until it is stopped.
func (r *loginRun) approve() (stop func()) {
	done := make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if code, ok := r.server.WaitDeviceCode(50 * time.Millisecond); ok {
				if err := r.server.ApproveDevice(code, alice); err != nil {
					r.Errorf("%v", err)
				}
			}
		}
	})
	return func() { close(done); working.Wait() }
}

// tools are the command lines of az, azd and the browser, without their process IDs.
func (r *loginRun) tools() (ran []string) {
	log, _ := os.ReadFile(filepath.Join(r.folder, "fake.log")) // none: no tool
	for line := range strings.Lines(string(log)) {
		ran = append(ran, "ran "+line[:strings.LastIndex(line, " ")])
	}
	return ran
}

// freshFields are the values that differ from run to run.
var freshFields = regexp.MustCompile(`^(refresh_token|device_code|code|code_verifier|code_challenge|state|nonce|client-request-id)$`)

// headersOfServices are those that other services than Entra ID look at.
var headersOfServices = []string{"Authorization", "Metadata", "X-Identity-Header", "X-Tfs-Fedauthredirect", "Accept", "Content-Type"}

// sent is what arrived at the emulator.
func (r *loginRun) sent() (requests []sentRequest) {
	forms, headers := r.server.Sent(), r.server.Headers()
	own := r.named()
	for i, request := range r.server.Requests() {
		line, query, _ := strings.Cut(request, "?")
		words := strings.SplitN(line, " ", 3)
		s := sentRequest{fields: map[string]string{}}
		values, err := url.ParseQuery(query)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(forms) > 0 && path.Base(words[2]) == forms[0].Endpoint && words[1] == forms[0].Host && strings.Contains(words[2], "/oauth2/v2.0/") {
			values, forms = forms[0].Form, forms[1:]
		}
		for name, value := range values {
			s.fields[name] = strings.Join(value, ",")
		}
		if !strings.HasPrefix(words[1], "login.") && words[1] != strings.TrimPrefix(r.server.URL, "https://") {
			for _, name := range headersOfServices {
				if value := headers[i].Get(name); value != "" {
					s.fields[name] = value
				}
			}
		}
		explainFields(s.fields)
		for name, value := range s.fields {
			s.fields[name] = own.Replace(value)
			if freshFields.MatchString(name) {
				s.fields[name] = "…"
			}
			s.fields[name] = loopbackPort.ReplaceAllString(s.fields[name], "$1:ANY")
		}
		s.line = loopbackPort.ReplaceAllString(own.Replace(line), "$1:ANY")
		requests = append(requests, s)
	}
	return requests
}

// named puts names in the place of values that differ from run to run.
func (r *loginRun) named() *strings.Replacer {
	pairs := []string{strings.TrimPrefix(r.server.URL, "https://"), "$ENTRA", "localhost:" + r.values["PORT"], "localhost:$PORT"}
	for _, name := range []string{"HEADER", "SYSTEM_TOKEN", "GITHUB_TOKEN"} {
		pairs = append(pairs, r.values[name], "$"+name)
	}
	return strings.NewReplacer(pairs...)
}

// explainFields takes apart what is encoded in fields.
func explainFields(fields map[string]string) {
	if raw, err := base64.RawURLEncoding.DecodeString(fields["req_cnf"]); err == nil && len(raw) > 0 {
		fields["req_cnf"] = regexp.MustCompile(`"kid":"[\w-]{43}"`).ReplaceAllString(string(raw), `"kid":"…"`)
	}
	assertion := fields["client_assertion"]
	if assertion == "" {
		return
	}
	delete(fields, "client_assertion")
	if strings.TrimSpace(assertion) != assertion {
		fields["assertion's white space"] = fmt.Sprintf("%q", strings.TrimPrefix(assertion, strings.TrimSpace(assertion)))
	}
	header, claims := jwtParts(assertion)
	for _, name := range []string{"alg", "typ", "kid", "x5t", "x5t#S256"} {
		if value := header[name]; value != nil {
			fields["assertion's "+name] = fmt.Sprint(value)
		}
	}
	if chain, there := header["x5c"].([]any); there {
		fields["assertion's x5c"] = fmt.Sprintf("%d", len(chain))
		if der, err := base64.StdEncoding.DecodeString(fmt.Sprint(chain[0])); err == nil {
			fields["assertion's certificate"] = fmt.Sprintf("%x", sha256.Sum256(der))
		}
	}
	for _, name := range []string{"iss", "sub", "aud"} {
		fields["assertion's "+name] = fmt.Sprint(claims[name])
	}
}

// jwtParts decodes a JWT; what is none has none.
func jwtParts(jwt string) (header, claims map[string]any) {
	parts := strings.Split(strings.TrimSpace(jwt), ".")
	for i, into := range []*map[string]any{&header, &claims} {
		if len(parts) > i {
			raw, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err == nil {
				json.Unmarshal(raw, into) // what is no object stays empty
			}
		}
	}
	return header, claims
}

// Kinds of tokens that are printed. A PoP token's header and claims are those that kubelogin's has.
const (
	bearerToken = "bearer token"
	popToken    = "PoP token with u=%s"
	popParts    = "[alg kid typ] [at cnf nonce ts u]"
)

// ended says whose token was printed. It must be one of the emulator's.
func (r *loginRun) ended(stdout string) string {
	var credential clientauthentication.ExecCredential
	if err := json.Unmarshal([]byte(stdout), &credential); err != nil || credential.Status == nil {
		return fmt.Sprintf("no ExecCredential: %v %q", err, stdout)
	}
	header, claims := jwtParts(credential.Status.Token)
	kind := bearerToken
	verify := func() (map[string]any, error) {
		return r.server.Verify(credential.Status.Token, fmt.Sprint(claims["aud"]))
	}
	if strings.EqualFold(fmt.Sprint(header["typ"]), "pop") {
		u := fmt.Sprint(claims["u"])
		_, inner := jwtParts(fmt.Sprint(claims["at"]))
		kind = fmt.Sprintf(popToken, u)
		if parts := fmt.Sprint(slices.Sorted(maps.Keys(header)), slices.Sorted(maps.Keys(claims))); parts != popParts {
			kind += " and the parts " + parts
		}
		verify = func() (map[string]any, error) {
			return r.server.VerifyPoP(credential.Status.Token, fmt.Sprint(inner["aud"]), u)
		}
	}
	verified, err := verify()
	if err != nil {
		return fmt.Sprintf("a token that does not verify: %v", err)
	}
	text := kind
	for _, name := range []string{"aud", "tid", "appid", "upn"} {
		text += fmt.Sprintf(" %s=%v", name, verified[name])
	}
	return text
}

// keyless runs a program to which the kernel's keyring is closed, as in most containers: kubelogin would find the tokens of other runs there,
// and leave keys behind.
func keyless() {
	deny := func(err error) {
		fmt.Fprintln(os.Stderr, "keyless:", err)
		os.Exit(70)
	}
	runtime.LockOSThread() // the filter is the thread's, and the program takes its place
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the system call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_ADD_KEY, Jt: 3},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_REQUEST_KEY, Jt: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_KEYCTL, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		deny(err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		deny(err)
	}
	deny(syscall.Exec(os.Args[1], os.Args[1:], os.Environ()))
}

// loginDifference is where get-token is wanted to do otherwise than kubelogin. Its functions tell whether they changed something.
type loginDifference struct {
	name, reason string
	ask          func(a *asked) bool                 // changes what kubelogin is asked, to what it would have to be asked to do the same
	want         func(a asked, o *loginOutcome) bool // changes what it did; a is the case as it stands
}

// loginDifferences are all of them, in the order in which they are applied.
var loginDifferences = []loginDifference{
	{name: "an empty variable", reason: "it is an unset one; kubelogin takes it for a value that wins over the flag",
		ask: func(a *asked) bool {
			before := len(a.env)
			maps.DeleteFunc(a.env, func(_, value string) bool { return value == "" })
			return len(a.env) < before
		}},
	{name: "no server ID", reason: "AKS has the same one everywhere",
		ask: func(a *asked) bool { return a.typed()["server-id"] == "" && a.flag("server-id", "$SERVER_ID") }},
	{name: "no method, and a federated token", reason: "a job that has one is no person; kubelogin asks one",
		ask: func(a *asked) bool {
			return a.login() == "" && a.env["AZURE_FEDERATED_TOKEN_FILE"] != "" && a.flag("login", "workloadidentity")
		}},
	{name: "the public client ID", reason: "az writes it into every kubeconfig, and it never is a workload's or an application's own: it counts as not given",
		ask: func(a *asked) bool {
			return a.typed()["client-id"] == "$PUBLIC" && a.ownsItsClient() && a.drop("client-id")
		}},
	{name: "a flag and the SDK's variable", reason: "who wrote a value down meant it",
		ask: func(a *asked) bool {
			return a.eachInput(func(in loginInput) bool { return a.typed()[in.flag] != "" && a.unset(in.variables[fromSDKs]) })
		}},
	{name: "kubelogin's variable and the SDK's", reason: "the one was made for this kind of program, the other is in the air",
		ask: func(a *asked) bool {
			return !a.on("disable-environment-override") && a.eachInput(func(in loginInput) bool {
				return a.env[in.variables[fromKubelogins]] != "" && a.unset(in.variables[fromSDKs])
			})
		}},
	{name: "--use-azurerm-env-vars and other variables", reason: "Terraform's variables come first, and where one is not set the others count as they always do; kubelogin does not read them",
		ask: func(a *asked) bool {
			return a.on("use-azurerm-env-vars") && !a.on("disable-environment-override") && a.eachInput(func(in loginInput) bool {
				kubelogins, sdks, terraforms := a.env[in.variables[fromKubelogins]], a.env[in.variables[fromSDKs]], a.env[in.variables[fromTerraforms]]
				switch {
				case in.variables[fromTerraforms] == "":
					return false
				case terraforms != "":
					return a.unset(in.variables[fromSDKs])
				case kubelogins != "":
					return a.flag(in.flag, kubelogins)
				}
				return sdks != "" && a.flag(in.flag, sdks)
			})
		}},
	{name: "--disable-environment-override and the SDK's variables", reason: "they win over no flag, and no flag contradicts them",
		ask: func(a *asked) bool {
			return a.on("disable-environment-override") && a.eachInput(func(in loginInput) bool {
				value := a.env[in.variables[fromSDKs]]
				if value == "" && a.login() == "azurepipelines" {
					value = a.env[in.variables[fromPipelines]]
				}
				return value != "" && a.typed()[in.flag] == "" && a.flag(in.flag, value)
			})
		}},
	{name: "--environment and AZURE_AUTHORITY_HOST", reason: "who wrote the environment down meant it",
		ask: func(a *asked) bool { return a.typed()["environment"] != "" && a.unset("AZURE_AUTHORITY_HOST") }},
	{name: "AZURE_AUTHORITY_HOST for every method", reason: "it says where the SDK's programs find Entra ID; kubelogin reads it for workloadidentity alone",
		ask: func(a *asked) bool {
			value := a.env["AZURE_AUTHORITY_HOST"]
			return value != "" && a.login() != "workloadidentity" && a.typed()["authority-host"] == "" && a.flag("authority-host", value)
		}},
	{name: "an authority host without a slash at its end", reason: "it means the same; kubelogin refuses it",
		ask: func(a *asked) bool {
			value := a.typed()["authority-host"]
			return value != "" && !strings.HasSuffix(value, "/") && a.flag("authority-host", value+"/")
		}},
	{name: "GitHub Actions and a file", reason: "who named a file meant it",
		ask: func(a *asked) bool {
			return (a.typed()["federated-token-file"] != "" || a.env["AZURE_FEDERATED_TOKEN_FILE"] != "") && a.unset("ACTIONS_ID_TOKEN_REQUEST_URL") && a.unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
		}},
	{name: "white space around a federated token", reason: "echo and editors write a line's end; Entra ID refuses it",
		ask: func(a *asked) bool {
			return a.typed()["federated-token-file"] == "$TOKEN_LINE" && a.flag("federated-token-file", "$TOKEN")
		}},
	{name: "a secret, and a certificate in the air", reason: "who wrote the secret down meant it",
		ask: func(a *asked) bool {
			written := a.typed()["client-secret"] != "" || a.env["AAD_SERVICE_PRINCIPAL_CLIENT_SECRET"] != ""
			return written && a.typed()["client-certificate"] == "" && a.unset("AZURE_CLIENT_CERTIFICATE_PATH")
		}},
	{name: "a resource ID, and a client ID in the air", reason: "who wrote the resource ID down meant it",
		ask: func(a *asked) bool { return a.typed()["identity-resource-id"] != "" && a.unset("AZURE_CLIENT_ID") }},
	{name: "a subscription, and a tenant in the air", reason: "who wrote the subscription down meant it, and az takes only one of them",
		ask: func(a *asked) bool {
			return a.login() == "azurecli" && a.typed()["subscription"] != "" && a.typed()["tenant-id"] == "" && a.unset("AZURE_TENANT_ID")
		}},
	{name: "forms of certificates", reason: "today's OpenSSL and Windows write PFX with AES, openssl rsa writes keys of PKCS #1, and the content of a file tells what it is; kubelogin reads old PFX in files called .pfx, and keys of PKCS #8",
		ask: func(a *asked) bool {
			same := map[string]string{"$MODERN_PFX": "$PFX", "$P12": "$PFX", "$PKCS1": "$CERT"}[a.typed()["client-certificate"]]
			return same != "" && a.flag("client-certificate", same)
		}},
	{name: "the rest of a certificate's chain", reason: "applications that trust an issuer want to see the way to it; kubelogin sends the certificate alone",
		want: func(a asked, o *loginOutcome) bool {
			return strings.HasPrefix(a.typed()["client-certificate"], "$CHAIN") && o.change(sentTo("/token"), map[string]string{"assertion's x5c": "2"})
		}},
	{name: "a tenant's domain", reason: "without a discovery document nobody says which ID it has, and Entra ID takes both",
		want: func(_ asked, o *loginOutcome) (changed bool) {
			typed := ""
			for i, r := range o.sent {
				if tenant, found := strings.CutSuffix(r.line, "/v2.0/.well-known/openid-configuration"); found {
					typed = tenant[strings.LastIndex(tenant, "/")+1:]
				}
				host, endpoint, found := strings.Cut(r.line, "/"+tenant+"/oauth2/")
				if !found || !strings.Contains(typed, ".") {
					continue
				}
				changed = true
				o.sent[i].line = host + "/" + typed + "/oauth2/" + endpoint
				if audience := r.fields["assertion's aud"]; strings.HasPrefix(audience, "https://") {
					r.fields["assertion's aud"] = strings.ReplaceAll(audience, tenant, typed)
				}
			}
			return changed
		}},
	{name: "discovery", reason: "it says nothing about the known clouds that is not known",
		want: func(_ asked, o *loginOutcome) bool {
			before := len(o.sent)
			o.sent = slices.DeleteFunc(o.sent, func(r sentRequest) bool {
				return strings.HasPrefix(r.line, "GET login.") && (strings.HasSuffix(r.line, "/discovery/instance") || strings.HasSuffix(r.line, "/openid-configuration"))
			})
			return len(o.sent) < before
		}},
	{name: "the audience of GitHub's tokens for another cloud", reason: "each cloud has its own, as Microsoft documents",
		want: func(a asked, o *loginOutcome) bool {
			china := a.env["ACTIONS_ID_TOKEN_REQUEST_URL"] != "" && a.typed()["environment"] == "AzureChinaCloud"
			const audience = "api://AzureADTokenExchangeChina"
			return china && o.change(sentTo("/github/oidc"), map[string]string{"audience": audience}) && o.change(sentTo("/token"), map[string]string{"assertion's aud": audience})
		}},
	{name: "headers to CI systems", reason: "what is accepted is said, and a request without a body has no type",
		want: func(_ asked, o *loginOutcome) bool {
			toGitHub := o.change(sentTo("/github/oidc"), map[string]string{"Content-Type": "", "Authorization": "Bearer $GITHUB_TOKEN"})
			return o.change(sentTo("/oidctoken"), map[string]string{"Accept": "application/json"}) || toGitHub
		}},
	{name: "--login-hint and --redirect-url with PoP", reason: "who wrote them down meant it; kubelogin forgets them",
		want: func(a asked, o *loginOutcome) bool {
			typed := a.typed()
			if a.login() != "interactive" || !a.on("pop-enabled") || typed["login-hint"] == "" {
				return false
			}
			hint := o.change(sentTo("/authorize"), map[string]string{"login_hint": alice, "redirect_uri": typed["redirect-url"]})
			return o.change(sentTo("/token"), map[string]string{"redirect_uri": typed["redirect-url"]}) && hint
		}},
	{name: "PoP with federated tokens", reason: "Azure Arc wants it; kubelogin gets a bearer token without a word",
		want: func(a asked, o *loginOutcome) bool {
			if !a.on("pop-enabled") || !slices.Contains([]string{"workloadidentity", "azurepipelines"}, a.login()) {
				return false
			}
			o.ended = strings.Replace(o.ended, bearerToken, fmt.Sprintf(popToken, popCluster), 1)
			return o.change(sentTo("/token"), map[string]string{"token_type": "pop", "req_cnf": `{"kid":"…","xms_ksl":"sw"}`})
		}},
	{name: "PoP with the other methods", reason: "it is refused; kubelogin gets a bearer token without a word, and Azure Arc does not take it",
		want: func(a asked, o *loginOutcome) bool {
			cannot := []string{"devicecode", "msi", "azurecli", "azd"}
			return a.on("pop-enabled") && slices.Contains(cannot, a.login()) && o.nothing()
		}},
	{name: "--legacy", reason: "it is refused with a word on what it was; kubelogin asks an endpoint for tokens that no cluster takes any more",
		want: func(a asked, o *loginOutcome) bool {
			return a.on("legacy") && slices.Contains([]string{"devicecode", "spn"}, a.login()) && o.nothing()
		}},
	{name: "an unknown environment", reason: "it is refused; kubelogin sends what is secret to the public cloud",
		want: func(a asked, o *loginOutcome) bool {
			return a.typed()["environment"] == "AzureGermanCloud" && o.nothing()
		}},
	{name: "a tenant that stands for many", reason: "an application logs in to one: it is refused before its secret is sent",
		want: func(a asked, o *loginOutcome) bool {
			return a.typed()["tenant-id"] == "common" && a.login() == "spn" && o.nothing()
		}},
	{name: "a tenant and a subscription", reason: "az takes only one of them: both are refused before it runs",
		want: func(a asked, o *loginOutcome) bool {
			return a.login() == "azurecli" && a.typed()["subscription"] != "" && a.typed()["tenant-id"] != "" && o.nothing()
		}},
	{name: "nobody is there", reason: "the client says so, and nobody could answer; kubelogin waits until its time is over",
		want: func(a asked, o *loginOutcome) bool {
			return strings.HasSuffix(nobodyThere, a.env["KUBERNETES_EXEC_INFO"]) && a.env["KUBERNETES_EXEC_INFO"] != "" && o.nothing()
		}},
}

// Whatever get-token is asked, it sends what kubelogin sends, but for the differences that are wanted.
func TestLoginAsKubelogin(t *testing.T) {
	kubelogin, akslogin := kubelogin(t), binary(t)
	cases := append(slices.Clone(loginCases), combinations()...)
	var mutex sync.Mutex
	met, ran := map[string]int{}, 0
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				theirs := c.asked()
				var here []string
				for _, d := range loginDifferences {
					if d.ask != nil && d.ask(&theirs) {
						here = append(here, d.name)
					}
				}
				want := runLogin(t, theirs, "keyless", kubelogin, "get-token")
				for _, d := range loginDifferences {
					if d.want != nil && d.want(c.asked(), &want) {
						here = append(here, d.name)
					}
				}
				got := runLogin(t, c.asked(), akslogin, "get-token")
				if slices.ContainsFunc(got.sent, func(r sentRequest) bool { return strings.HasPrefix(r.line, wrong) }) {
					t.Errorf("sent what nobody should: %s", strings.Join(got.lines(), "\n  "))
				}
				if !slices.Equal(got.lines(), want.lines()) {
					t.Errorf("%s %s\ndid\n  %s\nwanted\n  %s\nakslogin: %skubelogin: %s%q %v", c.args, c.env,
						strings.Join(got.lines(), "\n  "), strings.Join(want.lines(), "\n  "), got.words, want.words, here, theirs)
				}
				mutex.Lock()
				defer mutex.Unlock()
				ran++
				for _, name := range here {
					met[name]++
				}
			})
		}
	})
	if ran < len(cases) {
		return
	}
	for _, d := range loginDifferences {
		if met[d.name] == 0 {
			t.Errorf("no case meets this difference: %s (%s)", d.name, d.reason)
		}
	}
}
