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

// newServers are those that a client and its plugin talk to.
func newServers(t *testing.T) (*entratest.Server, *httptest.Server) {
	s := entratest.New(t)
	registerFixtures(s)
	return s, apiServer(t, s)
}

// apiServer lets in whoever shows a token of the emulated tenant for the AKS audience, and tells
// him who he is.
func apiServer(t *testing.T, s *entratest.Server) *httptest.Server {
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		claims, err := s.Verify(bearer, entratest.AKSServerID)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401}`)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"path": r.URL.Path, "appid": claims["appid"], "oid": claims["oid"]})
	}))
	t.Cleanup(api.Close)
	return api
}

// exampleConfig is the example with its blanks filled in, and with the emulator in the stanza's
// environment.
func exampleConfig(t *testing.T, s *entratest.Server, api *httptest.Server, change func(*clientcmdapi.ExecConfig)) *clientcmdapi.Config {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, "examples", "kubeconfig.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	federated := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(federated, []byte(s.Assertion(entratest.Claims{Subject: subject})), 0o600); err != nil {
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
		t.Fatalf("the example has other blanks:\n%s", raw)
	}
	config, err := clientcmd.Load(raw)
	if err != nil {
		t.Fatal(err)
	}
	config.Clusters["aks"].CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})
	stanza := config.AuthInfos["workload"].Exec
	for name, value := range map[string]string{"HTTPS_PROXY": s.ProxyURL, "SSL_CERT_FILE": s.CAFile, "HOME": t.TempDir(), "AKSLOGIN_CACHE_DIR": "", "KUBECACHEDIR": "", "XDG_CACHE_HOME": ""} {
		stanza.Env = append(stanza.Env, clientcmdapi.ExecEnvVar{Name: name, Value: value})
	}
	change(stanza)
	return config
}

var execVariants = map[string]func(*clientcmdapi.ExecConfig){
	"as it is":     func(*clientcmdapi.ExecConfig) {},
	"v1":           func(e *clientcmdapi.ExecConfig) { e.APIVersion = "client.authentication.k8s.io/v1" },
	"cluster info": func(e *clientcmdapi.ExecConfig) { e.ProvideClusterInfo = true },
	"interactive":  func(e *clientcmdapi.ExecConfig) { e.InteractiveMode = clientcmdapi.IfAvailableExecInteractiveMode },
}

// client-go's own authenticator runs the program and uses what it prints.
func TestClientGo(t *testing.T) {
	for name, change := range execVariants {
		t.Run(name, func(t *testing.T) {
			s, api := newServers(t)
			config, err := clientcmd.NewDefaultClientConfig(*exampleConfig(t, s, api, change), nil).ClientConfig()
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second is another process's: a client of its own, and a warm cache
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
				out, err := exec.Command(kubectl, "--kubeconfig", file, "get", "--raw", "/whoami").CombinedOutput()
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

// kubectl shows the program's words where a login fails.
func TestKubectlShowsLoginError(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("no kubectl here")
	}
	s, api := newServers(t)
	s.Register(entratest.App{Tenant: tenant, ClientID: client}) // trusts nobody
	file := filepath.Join(t.TempDir(), "config")
	if err := clientcmd.WriteToFile(*exampleConfig(t, s, api, execVariants["as it is"]), file); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(kubectl, "--kubeconfig", file, "get", "--raw", "/whoami").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("akslogin: error: ")) || !bytes.Contains(out, []byte("akslogin: hint: ")) || !bytes.Contains(out, []byte(subject)) {
		t.Errorf("%v: %s", err, out)
	}
}
