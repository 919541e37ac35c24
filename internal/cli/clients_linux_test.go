package cli

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/internal/entratest"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// newServers starts the servers that a client and its plugin talk to: Entra ID and an API server.
func newServers(t *testing.T) (*entratest.Server, *httptest.Server) {
	s := entratest.New(t)
	registerFixtures(s)
	return s, newWhoAmIServer(t, s)
}

// newWhoAmIServer starts an API server that accepts the emulator's tokens for the AKS audience, and
// responds with the caller's claims.
func newWhoAmIServer(t *testing.T, s *entratest.Server) *httptest.Server {
	const unauthorized = `{"kind":"Status","apiVersion":"v1","status":"Failure",` +
		`"reason":"Unauthorized","code":401}`
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		claims, err := s.Verify(bearer, entratest.AKSServerID)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, unauthorized)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{
			"path": r.URL.Path, "appid": claims["appid"], "oid": claims["oid"],
		})
	}))
	t.Cleanup(api.Close)
	return api
}

// exampleConfig returns the example kubeconfig with its placeholders filled in, and with the
// variables of the emulator in its exec config.
func exampleConfig(
	t *testing.T,
	s *entratest.Server,
	api *httptest.Server,
	change func(*clientcmdapi.ExecConfig),
) *clientcmdapi.Config {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, "examples", "kubeconfig.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	federated := filepath.Join(t.TempDir(), "token")
	assertion := s.Assertion(entratest.Claims{Subject: subject})
	if err := os.WriteFile(federated, []byte(assertion), 0o600); err != nil {
		t.Fatal(err)
	}
	raw = []byte(strings.NewReplacer(
		"<address of the API server, https://...>", api.URL,
		"<the cluster's CA certificate, PEM in base64>", "",
		"<tenant ID>", tenant,
		"<client ID of the managed identity>", client,
		"/var/run/secrets/azure/tokens/azure-identity-token", federated,
		"command: akslogin", "command: "+programPath(t),
	).Replace(string(raw)))
	if bytes.ContainsAny(bytes.SplitN(raw, []byte("\n"), 2)[1], "<>") {
		t.Fatalf("the example has other placeholders:\n%s", raw)
	}
	config, err := clientcmd.Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
	config.Clusters["aks"].CertificateAuthorityData = ca
	exec := config.AuthInfos["workload"].Exec
	for name, value := range map[string]string{
		"HTTPS_PROXY": s.ProxyURL, "SSL_CERT_FILE": s.CAFile, "HOME": t.TempDir(),
		"AKSLOGIN_CACHE_DIR": "", "KUBECACHEDIR": "", "XDG_CACHE_HOME": "",
	} {
		exec.Env = append(exec.Env, clientcmdapi.ExecEnvVar{Name: name, Value: value})
	}
	change(exec)
	return config
}

// execVariants change the example's exec config.
var execVariants = map[string]func(*clientcmdapi.ExecConfig){
	"unchanged": func(*clientcmdapi.ExecConfig) {},
	"v1": func(e *clientcmdapi.ExecConfig) {
		e.APIVersion = "client.authentication.k8s.io/v1"
	},
	"cluster info": func(e *clientcmdapi.ExecConfig) { e.ProvideClusterInfo = true },
	"interactive": func(e *clientcmdapi.ExecConfig) {
		e.InteractiveMode = clientcmdapi.IfAvailableExecInteractiveMode
	},
}

// TestClientGo checks that client-go's authenticator runs the program and uses its credentials.
func TestClientGo(t *testing.T) {
	for name, change := range execVariants {
		t.Run(name, func(t *testing.T) {
			s, api := newServers(t)
			kubeconfig := exampleConfig(t, s, api, change)
			config, err := clientcmd.NewDefaultClientConfig(*kubeconfig, nil).ClientConfig()
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second client has an authenticator of its own, and a warm cache
				hc, err := rest.HTTPClientFor(rest.CopyConfig(config))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := hc.Get(api.URL + "/whoami")
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(client)) {
					t.Fatalf("%s: %s", resp.Status, body)
				}
			}
			if s.TokenRequests() != 1 {
				t.Errorf("%d token requests, want 1", s.TokenRequests())
			}
		})
	}
}

func TestKubectl(t *testing.T) {
	skipIfShort(t, "a real client")
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("no kubectl here")
	}
	for name, change := range execVariants {
		t.Run(name, func(t *testing.T) {
			s, api := newServers(t)
			file := filepath.Join(t.TempDir(), "config")
			if err := clientcmd.WriteToFile(*exampleConfig(t, s, api, change), file); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				cmd := exec.Command(kubectl, "--kubeconfig", file, "get", "--raw", "/whoami")
				out, err := cmd.CombinedOutput()
				if err != nil || !bytes.Contains(out, []byte(client)) {
					t.Fatalf("%v: %s", err, out)
				}
			}
			if s.TokenRequests() != 1 {
				t.Errorf("%d token requests, want 1", s.TokenRequests())
			}
		})
	}
}

// TestKubectlShowsLoginError checks that kubectl prints the program's error and hint.
func TestKubectlShowsLoginError(t *testing.T) {
	skipIfShort(t, "a real client")
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("no kubectl here")
	}
	s, api := newServers(t)
	s.Register(entratest.App{Tenant: tenant, ClientID: client}) // without federated credentials
	file := filepath.Join(t.TempDir(), "config")
	config := exampleConfig(t, s, api, execVariants["unchanged"])
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(kubectl, "--kubeconfig", file, "get", "--raw", "/whoami")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("no error")
	}
	for _, want := range []string{"akslogin: error: ", "akslogin: hint: ", subject} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("no %q in %s", want, out)
		}
	}
}
