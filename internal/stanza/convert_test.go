package stanza

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/kubeconfig"
)

// kubeconfigOf returns a kubeconfig with this many users, as az aks get-credentials writes them.
func kubeconfigOf(users int) []byte {
	var text strings.Builder
	text.WriteString("apiVersion: v1\nkind: Config\nusers:\n")
	for i := range users {
		fmt.Fprintf(&text, `- name: clusterUser_group_cluster%d
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - get-token
      - --environment
      - AzurePublicCloud
      - --server-id
      - 6dae42f8-4368-4678-94ff-3960e28e3630
      - --client-id
      - 80faf920-1908-4b52-b5ef-a8e7bedfc67a
      - --tenant-id
      - 11111111-aaaa-4444-8888-%012d
      - --login
      - devicecode
      command: kubelogin
      env: null
      installHint: |2

        kubelogin is not installed
      provideClusterInfo: false
`, i, i)
	}
	return []byte(text.String())
}

var toAzd = &Converter{Options{Login: "azd"}}

func parse(t testing.TB, source []byte) *kubeconfig.File {
	t.Helper()
	k, err := kubeconfig.Parse("config", source)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// convert parses and converts a kubeconfig.
func convert(t testing.TB, source []byte) (content []byte) {
	t.Helper()
	done, err := toAzd.Convert(parse(t, source), nil)
	if err != nil {
		t.Fatal(err)
	}
	return done.Content
}

// BenchmarkConvert shows that time and memory grow with the number of users, and how often the time
// of parsing the file once is spent: the result is parsed too, to verify it.
func BenchmarkConvert(b *testing.B) {
	for _, users := range []int{100, 1000, 10_000} {
		source := kubeconfigOf(users)
		for name, do := range map[string]func(){
			"parse":   func() { parse(b, source) },
			"convert": func() { convert(b, source) },
		} {
			b.Run(fmt.Sprintf("%s/users=%d", name, users), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					do()
				}
			})
		}
	}
}

// TestConvertMemoryGrowsLinearly checks what BenchmarkConvert measures, by the memory that is
// allocated, which does not depend on the machine. It includes files of one long line.
func TestConvertMemoryGrowsLinearly(t *testing.T) {
	asJSON := func(users int) []byte {
		user := `{"name":"é%d","user":{"exec":{"command":"kubelogin","args":["get-token"]}}}`
		var all []string
		for i := range users {
			all = append(all, fmt.Sprintf(user, i))
		}
		return []byte(`{"users":[` + strings.Join(all, ",") + `]}`)
	}
	for name, source := range map[string]func(users int) []byte{
		"YAML": kubeconfigOf, "JSON": asJSON,
	} {
		small, large := source(100), source(1600)
		result := convert(t, large) // and what is computed once
		few := allocated(func() { convert(t, small) })
		many := allocated(func() { convert(t, large) })
		if many > 20*few {
			t.Errorf("%s: %d bytes for 100 users, %d for 16 times as many", name, few, many)
		}
		parsing := allocated(func() { parse(t, large); parse(t, result) })
		if many > 4*parsing { // 3 and a little, with the race detector
			t.Errorf("%s: %d bytes to parse it before and after, %d in all", name, parsing, many)
		}
	}
}

// allocated returns how many bytes do allocates.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// writeFile writes a kubeconfig with one user, converts it in memory, and appends to the file.
func writeFile(t *testing.T, appended string) (path string, done Conversion, err error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "config")
	source := kubeconfigOf(1)
	file, err := kubeconfig.Parse(path, source)
	if err != nil {
		t.Fatal(err)
	}
	c := &Converter{Options{Login: "azd", LockTimeout: time.Minute}}
	if done, err = c.Convert(file, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(source, appended...), 0o600); err != nil {
		t.Fatal(err)
	}
	done, err = c.WriteFile(t.Context(), file, nil, done)
	return path, done, err
}

func TestWriteFileMergesChange(t *testing.T) {
	const appended = "- name: new\n  user: {token: x} # kept\n" +
		"- name: other\n  user: {exec: {command: kubelogin, args: [get-token]}}\n"
	path, done, err := writeFile(t, appended)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), "{token: x} # kept") ||
		strings.Contains(string(content), "command: kubelogin") ||
		strings.Count(done.Report, "converted") != 2 {
		t.Errorf("%s\n%s", done.Report, content)
	}
}

func TestWriteFileRefusesInvalidChange(t *testing.T) {
	path, _, err := writeFile(t, "- name: [\n")
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if content, _ := os.ReadFile(path); string(content) != string(kubeconfigOf(1))+"- name: [\n" {
		t.Errorf("it was changed to\n%s", content)
	}
}
