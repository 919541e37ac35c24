package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// loginDifference is an intended difference from kubelogin's get-token. Its functions change
// kubelogin's input or outcome to what akslogin's must be, and report whether they changed
// anything.
type loginDifference struct {
	name, reason string

	// changeInput changes the input so that kubelogin does what akslogin does.
	changeInput func(a *invocation) bool

	// changeOutcome changes kubelogin's outcome; a is the case's own input.
	changeOutcome func(a invocation, o *loginOutcome) bool
}

// loginDifferences are all differences, in the order in which they are applied. The table is data;
// its long lines are reasons.
var loginDifferences = []loginDifference{
	{name: "empty variable", reason: "it counts as unset; for kubelogin it is a value that overrides the flag",
		changeInput: func(a *invocation) bool {
			before := len(a.env)
			maps.DeleteFunc(a.env, func(_, value string) bool { return value == "" })
			return len(a.env) < before
		}},
	{name: "no server ID", reason: "AKS has the same server ID everywhere",
		changeInput: func(a *invocation) bool {
			return a.flags()["server-id"] == "" && a.addFlag("server-id", "$SERVER_ID")
		}},
	{name: "no method, and a federated token", reason: "a job with a federated token has no user; kubelogin asks a user to sign in",
		changeInput: func(a *invocation) bool {
			return a.login() == "" && a.env["AZURE_FEDERATED_TOKEN_FILE"] != "" &&
				a.addFlag("login", "workloadidentity")
		}},
	{name: "public client ID", reason: "az writes it into every kubeconfig, but it is never a workload's own: it counts as unset",
		changeInput: func(a *invocation) bool {
			return a.flags()["client-id"] == "$PUBLIC" && a.clientIDIsIdentity() &&
				a.dropFlag("client-id")
		}},
	{name: "flag and the SDK's variable", reason: "explicit values win",
		changeInput: func(a *invocation) bool {
			return a.eachInput(func(in loginInput) bool {
				return a.flags()[in.flag] != "" && a.unset(in.variables[fromSDKVars])
			})
		}},
	{name: "kubelogin's variable and the SDK's", reason: "kubelogin's variables are set for this kind of program, the SDK's for any",
		changeInput: func(a *invocation) bool {
			return !a.isOn("disable-environment-override") && a.eachInput(func(in loginInput) bool {
				fromKubelogin := a.env[in.variables[fromKubeloginVars]]
				return fromKubelogin != "" && a.unset(in.variables[fromSDKVars])
			})
		}},
	{name: "--use-azurerm-env-vars and other variables", reason: "Terraform's variables come first; where one is unset the others count as usual. kubelogin does not read the others",
		changeInput: func(a *invocation) bool {
			if !a.isOn("use-azurerm-env-vars") || a.isOn("disable-environment-override") {
				return false
			}
			return a.eachInput(func(in loginInput) bool {
				fromKubelogin := a.env[in.variables[fromKubeloginVars]]
				fromSDK := a.env[in.variables[fromSDKVars]]
				switch {
				case in.variables[fromTerraformVars] == "":
					return false
				case a.env[in.variables[fromTerraformVars]] != "":
					return a.unset(in.variables[fromSDKVars])
				case fromKubelogin != "":
					return a.addFlag(in.flag, fromKubelogin)
				}
				return fromSDK != "" && a.addFlag(in.flag, fromSDK)
			})
		}},
	{name: "--disable-environment-override and the SDK's variables", reason: "the SDK's variables never override flags, so they still count where no flag is given",
		changeInput: func(a *invocation) bool {
			return a.isOn("disable-environment-override") && a.eachInput(func(in loginInput) bool {
				value := a.env[in.variables[fromSDKVars]]
				if value == "" && a.login() == "azurepipelines" {
					value = a.env[in.variables[fromPipelinesVars]]
				}
				return value != "" && a.flags()[in.flag] == "" && a.addFlag(in.flag, value)
			})
		}},
	{name: "--environment and AZURE_AUTHORITY_HOST", reason: "explicit values win",
		changeInput: func(a *invocation) bool {
			return a.flags()["environment"] != "" && a.unset("AZURE_AUTHORITY_HOST")
		}},
	{name: "AZURE_AUTHORITY_HOST for every method", reason: "it names the SDK's authority; kubelogin reads it for workloadidentity only",
		changeInput: func(a *invocation) bool {
			value := a.env["AZURE_AUTHORITY_HOST"]
			return value != "" && a.login() != "workloadidentity" &&
				a.flags()["authority-host"] == "" && a.addFlag("authority-host", value)
		}},
	{name: "authority host without a trailing slash", reason: "it means the same; kubelogin refuses it",
		changeInput: func(a *invocation) bool {
			value := a.flags()["authority-host"]
			return value != "" && !strings.HasSuffix(value, "/") &&
				a.addFlag("authority-host", value+"/")
		}},
	{name: "GitHub Actions and a file", reason: "an explicit file wins",
		changeInput: func(a *invocation) bool {
			hasFile := a.flags()["federated-token-file"] != "" ||
				a.env["AZURE_FEDERATED_TOKEN_FILE"] != ""
			return hasFile && a.unset("ACTIONS_ID_TOKEN_REQUEST_URL") &&
				a.unset("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
		}},
	{name: "white space around a federated token", reason: "echo and editors add a newline, and Entra ID refuses it",
		changeInput: func(a *invocation) bool {
			return a.flags()["federated-token-file"] == "$TOKEN_LINE" &&
				a.addFlag("federated-token-file", "$TOKEN")
		}},
	{name: "explicit secret, and a certificate in the SDK's variable", reason: "explicit values win",
		changeInput: func(a *invocation) bool {
			explicit := a.flags()["client-secret"] != "" ||
				a.env["AAD_SERVICE_PRINCIPAL_CLIENT_SECRET"] != ""
			return explicit && a.flags()["client-certificate"] == "" &&
				a.unset("AZURE_CLIENT_CERTIFICATE_PATH")
		}},
	{name: "explicit resource ID, and a client ID in the SDK's variable", reason: "explicit values win",
		changeInput: func(a *invocation) bool {
			return a.flags()["identity-resource-id"] != "" && a.unset("AZURE_CLIENT_ID")
		}},
	{name: "explicit subscription, and a tenant in the SDK's variable", reason: "explicit values win, and az accepts only one of them",
		changeInput: func(a *invocation) bool {
			return a.login() == "azurecli" && a.flags()["subscription"] != "" &&
				a.flags()["tenant-id"] == "" && a.unset("AZURE_TENANT_ID")
		}},
	{name: "certificate formats", reason: "OpenSSL 3 and Windows write PFX with AES, openssl rsa writes PKCS #1 keys, and the content of a file tells its format; kubelogin reads old PFX in files named .pfx, and PKCS #8 keys",
		changeInput: func(a *invocation) bool {
			same := map[string]string{
				"$MODERN_PFX": "$PFX", "$P12": "$PFX", "$PKCS1": "$CERT",
			}[a.flags()["client-certificate"]]
			return same != "" && a.addFlag("client-certificate", same)
		}},
	{name: "certificate chain", reason: "applications that trust an issuer need the whole chain; kubelogin sends the leaf certificate only",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			hasChain := strings.HasPrefix(a.flags()["client-certificate"], "$CHAIN")
			chain := map[string]string{"assertion's x5c": "2"}
			return hasChain && o.setFields(sentTo("/token"), chain)
		}},
	{name: "tenant domain", reason: "without a discovery document the tenant's ID is unknown, and Entra ID accepts both",
		changeOutcome: func(_ invocation, o *loginOutcome) (changed bool) {
			const discovery = "/v2.0/.well-known/openid-configuration"
			domain := ""
			for i, r := range o.sent {
				if line, ok := strings.CutSuffix(r.line, discovery); ok {
					domain = line[strings.LastIndex(line, "/")+1:]
				}
				host, endpoint, ok := strings.Cut(r.line, "/"+tenant+"/oauth2/")
				if !ok || !strings.Contains(domain, ".") {
					continue
				}
				changed = true
				o.sent[i].line = host + "/" + domain + "/oauth2/" + endpoint
				audience := r.fields["assertion's aud"]
				if strings.HasPrefix(audience, "https://") {
					r.fields["assertion's aud"] = strings.ReplaceAll(audience, tenant, domain)
				}
			}
			return changed
		}},
	{name: "discovery", reason: "it returns nothing new about the known clouds",
		changeOutcome: func(_ invocation, o *loginOutcome) bool {
			before := len(o.sent)
			o.sent = slices.DeleteFunc(o.sent, func(r sentRequest) bool {
				isDiscovery := strings.HasSuffix(r.line, "/discovery/instance") ||
					strings.HasSuffix(r.line, "/openid-configuration")
				return isDiscovery && strings.HasPrefix(r.line, "GET login.")
			})
			return len(o.sent) < before
		}},
	{name: "audience of GitHub's tokens in another cloud", reason: "each cloud has its own audience, as Microsoft documents",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			isChina := a.env["ACTIONS_ID_TOKEN_REQUEST_URL"] != "" &&
				a.flags()["environment"] == "AzureChinaCloud"
			const audience = "api://AzureADTokenExchangeChina"
			return isChina &&
				o.setFields(sentTo("/github/oidc"), map[string]string{"audience": audience}) &&
				o.setFields(sentTo("/token"), map[string]string{"assertion's aud": audience})
		}},
	{name: "headers for CI systems", reason: "the request says what it accepts, and has no Content-Type without a body",
		changeOutcome: func(_ invocation, o *loginOutcome) bool {
			toGitHub := o.setFields(sentTo("/github/oidc"), map[string]string{
				"Content-Type": "", "Authorization": "Bearer $GITHUB_TOKEN",
			})
			toPipelines := o.setFields(sentTo("/oidctoken"), map[string]string{
				"Accept": "application/json",
			})
			return toGitHub || toPipelines
		}},
	{name: "--login-hint and --redirect-url with PoP", reason: "explicit values count; kubelogin drops them",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			flags := a.flags()
			if a.login() != "interactive" || !a.isOn("pop-enabled") || flags["login-hint"] == "" {
				return false
			}
			redirect := flags["redirect-url"]
			authorize := o.setFields(sentTo("/authorize"), map[string]string{
				"login_hint": alice, "redirect_uri": redirect,
			})
			token := o.setFields(sentTo("/token"), map[string]string{"redirect_uri": redirect})
			return authorize && token
		}},
	{name: "PoP with federated tokens", reason: "Azure Arc requires it; kubelogin silently gets a bearer token",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			methods := []string{"workloadidentity", "azurepipelines"}
			if !a.isOn("pop-enabled") || !slices.Contains(methods, a.login()) {
				return false
			}
			pop := fmt.Sprintf(popToken, popCluster)
			o.result = strings.Replace(o.result, bearerToken, pop, 1)
			return o.setFields(sentTo("/token"), map[string]string{
				"token_type": "pop", "req_cnf": `{"kid":"…","xms_ksl":"sw"}`,
			})
		}},
	{name: "PoP with the other methods", reason: "it is refused; kubelogin silently gets a bearer token, which Azure Arc does not accept",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			methods := []string{"devicecode", "msi", "azurecli", "azd"}
			return a.isOn("pop-enabled") && slices.Contains(methods, a.login()) && o.setRefused()
		}},
	{name: "--legacy", reason: "it is refused with an explanation; kubelogin asks an old endpoint for tokens that no cluster accepts any more",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			methods := []string{"devicecode", "spn"}
			return a.isOn("legacy") && slices.Contains(methods, a.login()) && o.setRefused()
		}},
	{name: "unknown environment", reason: "it is refused; kubelogin sends secrets to the public cloud",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			return a.flags()["environment"] == "AzureGermanCloud" && o.setRefused()
		}},
	{name: "tenant alias for many tenants", reason: "an application logs in to one tenant: it is refused before its secret is sent",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			return a.flags()["tenant-id"] == "common" && a.login() == "spn" && o.setRefused()
		}},
	{name: "tenant and subscription", reason: "az accepts only one of them: both are refused before it runs",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			both := a.flags()["subscription"] != "" && a.flags()["tenant-id"] != ""
			return a.login() == "azurecli" && both && o.setRefused()
		}},
	{name: "non-interactive client", reason: "nobody can sign in; kubelogin waits until its timeout",
		changeOutcome: func(a invocation, o *loginOutcome) bool {
			execInfo := a.env["KUBERNETES_EXEC_INFO"]
			return execInfo != "" && strings.HasSuffix(nonInteractive, execInfo) && o.setRefused()
		}},
}
