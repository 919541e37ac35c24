package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// loginDifference is where get-token is wanted to do otherwise than kubelogin. Its functions tell
// whether they changed something.
type loginDifference struct {
	name, reason  string
	changeInput   func(a *invocation) bool                 // changes what kubelogin is asked, to what it would have to be asked to do the same
	changeOutcome func(a invocation, o *loginOutcome) bool // changes what it did; a is the case as it stands
}

// loginDifferences are all of them, in the order in which they are applied.
var loginDifferences = []loginDifference{
	{name: "an empty variable", reason: "it is an unset one; kubelogin takes it for a value that wins over the flag",
		changeInput: func(a *invocation) bool {
			before := len(a.env)
			maps.DeleteFunc(a.env, func(_, value string) bool { return value == "" })
			return len(a.env) < before
		}},
	{name: "no server ID", reason: "AKS has the same one everywhere",
		changeInput: func(a *invocation) bool { return a.flags()["server-id"] == "" && a.addFlag("server-id", "$SERVER_ID") }},
	{name: "no method, and a federated token", reason: "a job that has one is no person; kubelogin asks one",
		changeInput: func(a *invocation) bool {
			return a.login() == "" && a.env["AZURE_FEDERATED_TOKEN_FILE"] != "" && a.addFlag("login", "workloadidentity")
		}},
	{name: "the public client ID", reason: "az writes it into every kubeconfig, and it never is a workload's or an application's own: it counts as not given",
		changeInput: func(a *invocation) bool {
			return a.flags()["client-id"] == "$PUBLIC" && a.clientIDIsIdentity() && a.dropFlag("client-id")
		}},
	{name: "a flag and the SDK's variable", reason: "who wrote a value down meant it",
		changeInput: func(a *invocation) bool {
			return a.eachInput(func(in loginInput) bool { return a.flags()[in.flag] != "" && a.unset(in.variables[fromSDKVars]) })
		}},
	{name: "kubelogin's variable and the SDK's", reason: "the one was made for this kind of program, the other is in the air",
		changeInput: func(a *invocation) bool {
			return !a.isOn("disable-environment-override") && a.eachInput(func(in loginInput) bool {
				return a.env[in.variables[fromKubeloginVars]] != "" && a.unset(in.variables[fromSDKVars])
			})
		}},
	{name: "--use-azurerm-env-vars and other variables", reason: "Terraform's variables come first, and where one is not set the others count as they always do; kubelogin does not read them",
		changeInput: func(a *invocation) bool {
			return a.isOn("use-azurerm-env-vars") && !a.isOn("disable-environment-override") && a.eachInput(func(in loginInput) bool {
				kubelogins, sdks, terraforms := a.env[in.variables[fromKubeloginVars]], a.env[in.variables[fromSDKVars]], a.env[in.variables[fromTerraformVars]]
				switch {
				case in.variables[fromTerraformVars] == "":
					return false
				case terraforms != "":
					return a.unset(in.variables[fromSDKVars])
				case kubelogins != "":
					return a.addFlag(in.flag, kubelogins)
				}
				return sdks != "" && a.addFlag(in.flag, sdks)
			})
		}},
	{name: "--disable-environment-override and the SDK's variables", reason: "they win over no flag, and no flag contradicts them",
		changeInput: func(a *invocation) bool {
			return a.isOn("disable-environment-override") && a.eachInput(func(in loginInput) bool {
				value := a.env[in.variables[fromSDKVars]]
				if value == "" && a.login() == "azurepipelines" {
					value = a.env[in.variables[fromPipelinesVars]]
				}
				return value != "" && a.flags()[in.flag] == "" && a.addFlag(in.flag, value)
			})
		}},
	{name: "--environment and AZURE_AUTHORITY_HOST", reason: "who wrote the environment down meant it",
		changeInput: func(a *invocation) bool { return a.flags()["environment"] != "" && a.unset("AZURE_AUTHORITY_HOST") }},
	{name: "AZURE_AUTHORITY_HOST for every method", reason: "it says where the SDK's programs find Entra ID; kubelogin reads it for workloadidentity alone",
		changeInput: func(a *invocation) bool {
			value := a.env["AZURE_AUTHORITY_HOST"]
			return value != "" && a.login() != "workloadidentity" && a.flags()["authority-host"] == "" && a.addFlag("authority-host", value)
		}},
	{name: "an authority host without a slash at its end", reason: "it means the same; kubelogin refuses it",
		changeInput: func(a *invocation) bool {
			value := a.flags()["authority-host"]
			return value != "" && !strings.HasSuffix(value, "/") && a.addFlag("authority-host", value+"/")
		}},
	{name: "GitHub Actions and a file", reason: "who named a file meant it",
		changeInput: func(a *invocation) bool {
			return (a.flags()["federated-token-file"] != "" || a.env["AZURE_FEDERATED_TOKEN_FILE"] != "") && a.unset("ACTIONS_ID_TOKEN_REQUEST_URL") && a.unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
		}},
	{name: "white space around a federated token", reason: "echo and editors write a line's end; Entra ID refuses it",
		changeInput: func(a *invocation) bool {
			return a.flags()["federated-token-file"] == "$TOKEN_LINE" && a.addFlag("federated-token-file", "$TOKEN")
		}},
	{name: "a secret, and a certificate in the air", reason: "who wrote the secret down meant it",
		changeInput: func(a *invocation) bool {
			written := a.flags()["client-secret"] != "" || a.env["AAD_SERVICE_PRINCIPAL_CLIENT_SECRET"] != ""
			return written && a.flags()["client-certificate"] == "" && a.unset("AZURE_CLIENT_CERTIFICATE_PATH")
		}},
	{name: "a resource ID, and a client ID in the air", reason: "who wrote the resource ID down meant it",
		changeInput: func(a *invocation) bool { return a.flags()["identity-resource-id"] != "" && a.unset("AZURE_CLIENT_ID") }},
	{name: "a subscription, and a tenant in the air", reason: "who wrote the subscription down meant it, and az takes only one of them",
		changeInput: func(a *invocation) bool {
			return a.login() == "azurecli" && a.flags()["subscription"] != "" && a.flags()["tenant-id"] == "" && a.unset("AZURE_TENANT_ID")
		}},
	{name: "forms of certificates", reason: "today's OpenSSL and Windows write PFX with AES, openssl rsa writes keys of PKCS #1, and the content of a file tells what it is; kubelogin reads old PFX in files called .pfx, and keys of PKCS #8",
		changeInput: func(a *invocation) bool {
			same := map[string]string{"$MODERN_PFX": "$PFX", "$P12": "$PFX", "$PKCS1": "$CERT"}[a.flags()["client-certificate"]]
			return same != "" && a.addFlag("client-certificate", same)
		}},
	{name: "the rest of a certificate's chain", reason: "applications that trust an issuer want to see the way to it; kubelogin sends the certificate alone",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			return strings.HasPrefix(a.flags()["client-certificate"], "$CHAIN") && o.setFields(sentTo("/token"), map[string]string{"assertion's x5c": "2"})
		}},
	{name: "a tenant's domain", reason: "without a discovery document nobody says which ID it has, and Entra ID takes both",
		changeOutcome: func(_ invocation, o *loginOutcome) (changed bool) {
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
		changeOutcome: func(_ invocation, o *loginOutcome) bool {
			before := len(o.sent)
			o.sent = slices.DeleteFunc(o.sent, func(r sentRequest) bool {
				return strings.HasPrefix(r.line, "GET login.") && (strings.HasSuffix(r.line, "/discovery/instance") || strings.HasSuffix(r.line, "/openid-configuration"))
			})
			return len(o.sent) < before
		}},
	{name: "the audience of GitHub's tokens for another cloud", reason: "each cloud has its own, as Microsoft documents",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			china := a.env["ACTIONS_ID_TOKEN_REQUEST_URL"] != "" && a.flags()["environment"] == "AzureChinaCloud"
			const audience = "api://AzureADTokenExchangeChina"
			return china && o.setFields(sentTo("/github/oidc"), map[string]string{"audience": audience}) && o.setFields(sentTo("/token"), map[string]string{"assertion's aud": audience})
		}},
	{name: "headers to CI systems", reason: "what is accepted is said, and a request without a body has no type",
		changeOutcome: func(_ invocation, o *loginOutcome) bool {
			toGitHub := o.setFields(sentTo("/github/oidc"), map[string]string{"Content-Type": "", "Authorization": "Bearer $GITHUB_TOKEN"})
			return o.setFields(sentTo("/oidctoken"), map[string]string{"Accept": "application/json"}) || toGitHub
		}},
	{name: "--login-hint and --redirect-url with PoP", reason: "who wrote them down meant it; kubelogin forgets them",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			typed := a.flags()
			if a.login() != "interactive" || !a.isOn("pop-enabled") || typed["login-hint"] == "" {
				return false
			}
			hint := o.setFields(sentTo("/authorize"), map[string]string{"login_hint": alice, "redirect_uri": typed["redirect-url"]})
			return o.setFields(sentTo("/token"), map[string]string{"redirect_uri": typed["redirect-url"]}) && hint
		}},
	{name: "PoP with federated tokens", reason: "Azure Arc wants it; kubelogin gets a bearer token without a word",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			if !a.isOn("pop-enabled") || !slices.Contains([]string{"workloadidentity", "azurepipelines"}, a.login()) {
				return false
			}
			o.result = strings.Replace(o.result, bearerToken, fmt.Sprintf(popToken, popCluster), 1)
			return o.setFields(sentTo("/token"), map[string]string{"token_type": "pop", "req_cnf": `{"kid":"…","xms_ksl":"sw"}`})
		}},
	{name: "PoP with the other methods", reason: "it is refused; kubelogin gets a bearer token without a word, and Azure Arc does not take it",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			cannot := []string{"devicecode", "msi", "azurecli", "azd"}
			return a.isOn("pop-enabled") && slices.Contains(cannot, a.login()) && o.setRefused()
		}},
	{name: "--legacy", reason: "it is refused with a word on what it was; kubelogin asks an endpoint for tokens that no cluster takes any more",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			return a.isOn("legacy") && slices.Contains([]string{"devicecode", "spn"}, a.login()) && o.setRefused()
		}},
	{name: "an unknown environment", reason: "it is refused; kubelogin sends what is secret to the public cloud",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			return a.flags()["environment"] == "AzureGermanCloud" && o.setRefused()
		}},
	{name: "a tenant that stands for many", reason: "an application logs in to one: it is refused before its secret is sent",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			return a.flags()["tenant-id"] == "common" && a.login() == "spn" && o.setRefused()
		}},
	{name: "a tenant and a subscription", reason: "az takes only one of them: both are refused before it runs",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			return a.login() == "azurecli" && a.flags()["subscription"] != "" && a.flags()["tenant-id"] != "" && o.setRefused()
		}},
	{name: "nobody is there", reason: "the client says so, and nobody could answer; kubelogin waits until its time is over",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			return strings.HasSuffix(nonInteractive, a.env["KUBERNETES_EXEC_INFO"]) && a.env["KUBERNETES_EXEC_INFO"] != "" && o.setRefused()
		}},
}
