package cli

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/cache/sealed"
)

// hostileKubeconfig has the placeholder EVIL in all its values.
const hostileKubeconfig = `apiVersion: v1
kind: Config
current-context: "EVIL"
contexts: [{name: "EVIL", context: {cluster: "EVIL", user: "EVIL", namespace: "EVIL"}}]
clusters: [{name: "EVIL", cluster: {server: "https://EVIL.example", certificate-authority: "EVIL", proxy-url: "EVIL", tls-server-name: "EVIL"}}]
users:
- name: "EVIL"
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: kubelogin
      args: [get-token, --login, workloadidentity, --environment, "EVIL", --server-id, "EVIL", "--EVIL"]
      env: [{name: AZURE_AUTHORITY_HOST, value: "EVIL"}]
      installHint: "EVIL"
      interactiveMode: "EVIL"
`

// quoteJSON returns a JSON string with a text, in which invalid UTF-8 is replaced, and a NUL.
func quoteJSON(text string) string {
	raw, _ := json.Marshal(strings.ToValidUTF8(text, "?") + "\x00")
	return string(raw)
}

// hostileAssertion returns a federated token with a text in all its claims.
func hostileAssertion(text string) string {
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	const claims = `{"iss":%s,"sub":%[1]s,"aud":[%[1]s,%[1]s],"exp":4102444800,"iat":1,"azp":%[1]s,` +
		`"kubernetes.io":{"namespace":%[1]s,"pod":{"name":%[1]s},"serviceaccount":{"name":%[1]s}}}`
	quoted := quoteJSON(text)
	return encode(`{"alg":"RS256","kid":`+quoted+`}`) + "." +
		encode(fmt.Sprintf(claims, quoted)) + "." + encode("signature")
}

// writeHostileEntry writes a cache entry with a text in its header.
func writeHostileEntry(t *testing.T, home, text string) {
	t.Helper()
	const header = `{"inputs":[%s,%s,%s],"holds":"token",` +
		`"stored":"0001-01-01T00:00:00Z","expires":"9999-12-31T00:00:00Z"}`
	entry := sealed.Magic + fmt.Sprintf(header,
		quoteJSON("method="+text), quoteJSON("client="+text), quoteJSON(text)) + "\n"
	if err := os.MkdirAll(cacheDir(home), 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cacheDir(home), strings.Repeat("cd", 16)+".sealed")
	if err := os.WriteFile(path, []byte(entry), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hostileFile is input from a file, or from the client.
type hostileFile struct {
	env  map[string]string
	args []string
}

// hostileFiles returns files in a folder, and exec infos, with a text in them.
func hostileFiles(t *testing.T, folder, text string) map[string]hostileFile {
	t.Helper()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	execInfo := func(content string) hostileFile {
		return hostileFile{env: map[string]string{"KUBERNETES_EXEC_INFO": content}}
	}
	kubeconfig := strings.ReplaceAll(hostileKubeconfig, `"EVIL"`, quoteJSON(text))
	rawKubeconfig := strings.ReplaceAll(hostileKubeconfig, "EVIL", text)
	short := text[:min(len(text), 8<<10)]
	nested := strings.Repeat(`{"spec":`, 20000) + strings.Repeat("}", 20000)
	return map[string]hostileFile{
		"cache":                   {},
		"kubeconfig":              {args: []string{"--kubeconfig", write("kubeconfig", kubeconfig)}},
		"raw kubeconfig":          {args: []string{"--kubeconfig", write("raw", rawKubeconfig)}},
		"$KUBECONFIG":             {env: map[string]string{"KUBECONFIG": write("by", kubeconfig)}},
		"invalid kubeconfig":      {args: []string{"--kubeconfig", write("none", text)}},
		"federated token":         {args: []string{"--federated-token-file", write("assertion", hostileAssertion(short))}},
		"invalid federated token": {args: []string{"--federated-token-file", write("no-token", text)}},
		"missing federated token": {args: []string{"--federated-token-file", folder + "/" + text}},
		"certificate":             {args: []string{"--client-certificate", write("certificate", text)}},
		"CA":                      {args: []string{"--certificate-authority", write("ca", text)}},
		"version":                 execInfo(`{"apiVersion":` + quoteJSON(short) + `,"kind":"ExecCredential"}`),
		"kind":                    execInfo(`{"kind":` + quoteJSON(short) + `,"apiVersion":"client.authentication.k8s.io/v1"}`),
		"nested exec info":        execInfo(nested),
		"duplicate keys":          execInfo(`{"apiVersion":"client.authentication.k8s.io/v1","apiVersion":` + quoteJSON(short) + `,"spec":{"interactive":true,"interactive":"` + "\u202e" + `"}}`),
		"invalid exec info":       execInfo(short),
	}
}

// TestHostileFiles checks that hostile text in files and in the client's exec info is not printed
// as it is: in kubeconfigs, claims of federated tokens, and cache entries.
func TestHostileFiles(t *testing.T) {
	skipIfShort(t, "thousands of runs")
	allKinds := slices.Sorted(maps.Keys(hostileTexts))
	kindCount, caseCount := 0, 0
	t.Chdir(t.TempDir())
	surfaces := attackSurfaces(t, t.TempDir())
	for _, name := range slices.Sorted(maps.Keys(surfaces)) { // the counts depend on the order
		s := surfaces[name]
		t.Run(name, func(t *testing.T) {
			kinds := []string{"plain", pickKind(2*kindCount+1, allKinds)}
			if strings.HasPrefix(name, "cache") {
				kinds = allKinds
			}
			for _, kind := range kinds {
				kindCount++
				folder := t.TempDir()
				writeHostileEntry(t, folder, hostileTexts[kind])
				files := hostileFiles(t, folder, hostileTexts[kind])
				for _, what := range slices.Sorted(maps.Keys(files)) {
					file := files[what]
					if caseCount++; caseCount%sampleEvery != 0 {
						continue
					}
					if len(file.args) > 0 {
						flag := strings.TrimPrefix(file.args[0], "--")
						if !slices.Contains(flagNames(t, s.args[0]), flag) {
							continue
						}
					}
					args := slices.Concat(s.args, file.args)
					got := runInProcess(t, folder, file.env, args...)
					if s.wantPlainText(t, got); t.Failed() {
						t.Fatalf("%s is %s", what, kind)
					}
				}
			}
		})
	}
}
