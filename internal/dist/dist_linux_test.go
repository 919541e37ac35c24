package main

import (
	"bytes"
	"debug/buildinfo"
	"debug/macho"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/akslogin/akslogin/internal/entratest"
)

// readDist returns all files of the release.
func readDist(t *testing.T) (files []file) {
	t.Helper()
	tree, err := readTree(filepath.Dir(distFile(t, "checksums.txt")))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(tree, func(f file) bool { return strings.HasSuffix(f.name, "/") })
}

// distPrograms returns the program of each target's archive.
func distPrograms(t *testing.T, files []file) map[string][]byte {
	t.Helper()
	programs := map[string][]byte{}
	for _, f := range files {
		name := strings.TrimPrefix(f.name, "akslogin_"+distRelease(t).version()+"_")
		if target, ok := strings.CutSuffix(name, ".tar.gz"); ok {
			_, contents := untar(t, f.data)
			programs[target] = contents["akslogin"]
		} else if target, ok := strings.CutSuffix(name, ".zip"); ok {
			for _, entry := range readZip(t, f.data) {
				if entry.Name == "akslogin.exe" {
					programs[target] = zipContent(t, entry)
				}
			}
		}
	}
	return programs
}

func TestRelease(t *testing.T) {
	r, files := distRelease(t), readDist(t)
	t.Run("checksums", func(t *testing.T) {
		cmd := exec.Command("sha256sum", "--check", "--strict", "--quiet", "checksums.txt")
		cmd.Dir = filepath.Dir(distFile(t, "checksums.txt"))
		mustRun(t, cmd)
		lines := bytes.Count(readFile(t, distFile(t, "checksums.txt")), []byte("\n"))
		if top := len(files) - 1 - 6; lines != top {
			t.Errorf("%d sums for %d files", lines, top)
		}
	})
	t.Run("manifests", func(t *testing.T) {
		isManifest := func(f file) bool { return strings.Contains(f.name, "/") }
		var found []file
		for _, f := range files {
			if isManifest(f) {
				found = append(found, f)
			}
		}
		checkManifests(t, r, found, files)
	})
	for _, f := range files {
		if strings.HasSuffix(f.name, ".whl") {
			t.Run(f.name, func(t *testing.T) { checkWheel(t, f.name, f.data) })
		}
	}
	programs := distPrograms(t, files)
	t.Run("programs", func(t *testing.T) { checkPrograms(t, r, programs) })
	t.Run("bill of materials", func(t *testing.T) {
		raw := readFile(t, distFile(t, "*.cdx.json"))
		checkBillOfMaterials(t, raw)
		checkComponents(t, raw, programs)
	})
}

// checkPrograms checks that the program of every target is that of the release's commit, and which
// macOS it needs at least.
func checkPrograms(t *testing.T, r release, programs map[string][]byte) {
	if len(programs) != len(targets) {
		t.Errorf("%d programs", len(programs))
	}
	commit, err := git(".", "rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		info, err := buildinfo.Read(bytes.NewReader(programs[target.String()]))
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if settings["GOOS"] != target.os || settings["GOARCH"] != target.arch ||
			settings["vcs.revision"] != commit || settings["vcs.modified"] != "false" ||
			settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" || info.Main.Version != r.tag {
			t.Errorf("%s: version %s, %v", target, info.Main.Version, settings)
		}
		if target.os == "darwin" {
			checkMinimumMacOS(t, target, programs[target.String()])
		}
	}
}

// checkMinimumMacOS checks that a wheel's tag names the macOS that the program itself asks for.
func checkMinimumMacOS(t *testing.T, target target, program []byte) {
	t.Helper()
	f, err := macho.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	const buildVersion = 0x32 // LC_BUILD_VERSION
	for _, load := range f.Loads {
		raw := load.Raw()
		if f.ByteOrder.Uint32(raw) != buildVersion {
			continue
		}
		minimum := f.ByteOrder.Uint32(raw[12:])
		want := fmt.Sprintf("macosx_%d_%d_", minimum>>16, minimum>>8&0xff)
		if !strings.HasPrefix(target.wheel[0], want) {
			t.Errorf("%s needs %s, and the wheel is for %s", target, want, target.wheel[0])
		}
		return
	}
	t.Errorf("%s does not say which macOS it needs", target)
}

// checkComponents compares the bill of materials with what the programs say.
func checkComponents(t *testing.T, raw []byte, programs map[string][]byte) {
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(raw), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range *bom.Components {
		got = append(got, c.Name+"@"+c.Version)
	}
	linked := map[string]bool{}
	for _, program := range programs {
		info, err := buildinfo.Read(bytes.NewReader(program))
		if err != nil {
			t.Fatal(err)
		}
		linked["std@"+strings.TrimPrefix(info.GoVersion, "go")] = true
		for _, m := range info.Deps {
			linked[m.Path+"@"+m.Version] = true
		}
	}
	if want := slices.Sorted(maps.Keys(linked)); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("components %q, want %q", got, want)
	}
}

// TestWheelPlatforms asks pip for the wheel of each platform.
func TestWheelPlatforms(t *testing.T) {
	dist := filepath.Dir(distFile(t, "checksums.txt"))
	pip := filepath.Join(newVenv(t), "pip")
	for platform, want := range map[string]string{
		"manylinux_2_17_x86_64": "x86_64", "manylinux2014_x86_64": "x86_64", "musllinux_1_1_x86_64": "x86_64",
		"manylinux_2_17_aarch64": "aarch64", "manylinux2014_aarch64": "aarch64", "musllinux_1_1_aarch64": "aarch64",
		"macosx_12_0_x86_64": "macosx_12_0_x86_64", "macosx_14_0_arm64": "macosx_12_0_arm64",
		"win_amd64": "win_amd64", "win_arm64": "win_arm64",
	} {
		into := t.TempDir()
		cmd := exec.Command(pip, "download", "--no-index", "--find-links", dist, "--no-deps", "--dest", into,
			"--only-binary=:all:", "--platform", platform, "--python-version", "3.9", "akslogin")
		cmd.Env = []string{"HOME=" + into, "PIP_CONFIG_FILE=" + os.DevNull}
		mustRun(t, cmd)
		found, err := os.ReadDir(into)
		if err != nil || len(found) != 1 || !strings.HasSuffix(found[0].Name(), want+".whl") {
			t.Errorf("%s: %v, %v", platform, found, err)
		}
	}
}

// TestPodOperator has a Python client run a pod, with the wheel's program on its PATH and the
// connection that the program wrote: twice, the second time with a warm cache.
func TestPodOperator(t *testing.T) {
	bin := newVenv(t)
	entra := entratest.New(t)
	p := installed{root: "/", argv: []string{filepath.Join(bin, "akslogin")}}
	p.prepare(t, entra)
	var requests []string
	api := newAPIServer(t, entra, &requests)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})))
	connection := mustRun(t, p.command("kubeconfig", "--server", api.URL, "--certificate-authority", ca,
		"--name", "aks", "--namespace", "pods", "--login", "workloadidentity", "--output", "airflow-connection"))
	for _, kind := range []string{"with", "without"} {
		t.Run(kind+" the package kubernetes", func(t *testing.T) {
			args := []string{"testdata/pod_operator.py"}
			if kind == "without" {
				args = slices.Insert(args, 0, "-I", "-S") // no packages but the standard library's
			} else if err := exec.Command(filepath.Join(bin, "python"), "-c", "import kubernetes").Run(); err != nil {
				missing(t, "no Python client (apt-get install python3-kubernetes)")
			}
			for range 2 {
				requests = nil
				cmd := exec.Command(filepath.Join(bin, "python"), args...)
				cmd.Env = append(slices.Clone(p.env), "AIRFLOW_CONN_AZ_AKS="+connection,
					"PATH="+bin+":/usr/bin:/bin", "NO_PROXY=127.0.0.1")
				want := map[string]string{"with": "kubernetes", "without": "standard library"}[kind]
				if out := mustRun(t, cmd); out != want+": the pod's log\n" {
					t.Errorf("printed %q", out)
				}
				if got := strings.Join(requests, " "); got != "GET POST GET GET DELETE" {
					t.Errorf("requests: %s", got)
				}
			}
		})
	}
	if entra.TokenRequests() != 1 {
		t.Errorf("%d token requests, want 1", entra.TokenRequests())
	}
}

// newAPIServer starts an API server that knows one pod, and accepts the emulator's tokens.
func newAPIServer(t *testing.T, entra *entratest.Server, requests *[]string) *httptest.Server {
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := entra.Verify(token, entratest.AKSServerID); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		*requests = append(*requests, r.Method)
		switch path, _ := strings.CutPrefix(r.URL.Path, "/api/v1/namespaces/pods/pods"); path {
		case "":
			json.NewEncoder(w).Encode(map[string]any{"items": []string{}})
		case "/task":
			json.NewEncoder(w).Encode(map[string]any{"status": map[string]string{"phase": "Succeeded"}})
		case "/task/log":
			fmt.Fprint(w, "the pod's log")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(api.Close)
	return api
}

// krewVersion is the release of krew that validates its manifest. Its module is no requirement,
// since its own are of 2021.
const krewVersion = "v0.4.3"

// Krew finds the manifest valid, and installs the plugin from the archive of each system.
func TestKrew(t *testing.T) {
	manifest := distFile(t, "krew/akslogin.yaml")
	bin := t.TempDir()
	for _, program := range []string{"validate-krew-manifest", "krew"} {
		cmd := exec.Command("go", "install", "sigs.k8s.io/krew/cmd/"+program+"@"+krewVersion)
		cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			missing(t, "krew cannot be built: %s", out)
		}
	}
	mustRun(t, exec.Command(filepath.Join(bin, "validate-krew-manifest"), "-skip-install", "-manifest", manifest))
	for _, target := range targets {
		archive := distFile(t, "akslogin_*_"+target.String()+".[tz]*")
		root := t.TempDir()
		cmd := exec.Command(filepath.Join(bin, "krew"), "install", "--manifest", manifest, "--archive", archive)
		cmd.Env = append(os.Environ(), "KREW_ROOT="+root, "KREW_OS="+target.os, "KREW_ARCH="+target.arch)
		mustRun(t, cmd)
		linked := filepath.Join(root, "bin", "kubectl-"+target.program())
		if info, err := os.Stat(linked); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", target, info, err)
		}
	}
}
