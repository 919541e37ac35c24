package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// releaseArchive returns an archive with a program that says it has the version.
func releaseArchive(t *testing.T, version string) []byte {
	t.Helper()
	program := "#!/bin/sh\necho akslogin " + version + "\n"
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	err := tw.WriteHeader(&tar.Header{Name: "akslogin", Mode: 0o755, Size: int64(len(program))})
	if err == nil {
		_, err = tw.Write([]byte(program))
	}
	if err == nil {
		err = tw.Close()
	}
	if err == nil {
		err = zw.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const (
	setupArchive  = "akslogin_1.2.3_linux_amd64.tar.gz"
	damagedByName = "akslogin_1.2.3_linux_armv7.tar.gz"
	otherArchive  = "akslogin_1.2.4_linux_amd64.tar.gz" // holds 1.2.3
)

// serveReleases returns the address of a server with two releases, and the file with its
// certificate.
func serveReleases(t *testing.T) (url, certificate string) {
	t.Helper()
	archive := releaseArchive(t, "v1.2.3")
	sums := fmt.Sprintf("%x  %s\n%x  %s\n%[1]x  akslogin_1.2.3_amd64.deb\n%[1]x  %[2]s.json\n",
		sha256.Sum256(archive), setupArchive, sha256.Sum256([]byte("another file")), damagedByName)
	files := map[string]string{
		"/download/v1.2.3/checksums.txt":    sums,
		"/latest/download/checksums.txt":    sums,
		"/download/v1.2.3/" + setupArchive:  string(archive),
		"/download/v1.2.3/" + damagedByName: string(archive),
		"/download/v1.2.4/checksums.txt":    fmt.Sprintf("%x  %s\n", sha256.Sum256(archive), otherArchive),
		"/download/v1.2.4/" + otherArchive:  string(archive),
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, found := files[r.URL.Path]
		if !found {
			http.NotFound(w, r)
		}
		_, _ = w.Write([]byte(content))
	}))
	t.Cleanup(server.Close)
	certificate = filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	if err := os.WriteFile(certificate, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, certificate
}

// setupTools makes a folder with the programs that the script needs, and with a gh that ends with
// the exit status of another program, if that is not empty. The machine may have a gh of its own.
func setupTools(t *testing.T, dir, gh string) (bin string) {
	t.Helper()
	bin = filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	tools := []string{
		"awk", "bash", "cat", "curl", "false", "gzip", "head", "mkdir", "mktemp", "sed", "sh",
		"sha256sum", "tar", "tee", "true",
	}
	for _, tool := range tools {
		path, err := exec.LookPath(tool)
		if err == nil {
			err = os.Symlink(path, filepath.Join(bin, tool))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if gh != "" {
		script := "#!/bin/sh\necho \"$@\" >>" + dir + "/gh.log\nexec " + gh + "\n"
		if err := os.WriteFile(filepath.Join(bin, "gh"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// setupCases are runs of the setup action. want is a part of the error, "" for success.
var setupCases = []struct{ version, system, processor, verify, gh, want string }{
	{"v1.2.3", "Linux", "X64", "true", "true", ""},
	{"1.2.3", "Linux", "X64", "true", "true", ""},
	{"latest", "Linux", "X64", "true", "true", ""},
	{"latest", "Linux", "X64", "false", "false", ""},
	{"v1.2.3", "Linux", "X64", "true", "false", "::error title=Set up akslogin::the provenance of " + setupArchive + " could not be verified"},
	{"v1.2.3", "Linux", "X64", "true", "", "gh is not installed"},
	{"v1.2.3", "Linux", "ARM", "true", "true", damagedByName + " is damaged"},
	{"v1.2.3", "Linux", "ARM64", "true", "true", "the release has no archive for linux/arm64"},
	{"v1.2.3", "Linux", "S390X", "true", "true", "no akslogin for the runner's processor: S390X"},
	{"v1.2.3", "Plan9", "X64", "true", "true", "no akslogin for the runner's system: Plan9"},
	{"v1.2.4", "Linux", "X64", "true", "true", "holds another version"},
	{"v9.9.9", "Linux", "X64", "true", "true", "/download/v9.9.9/checksums.txt failed"},
	{"", "Linux", "X64", "true", "true", "the version is empty"},
	{"main", "Linux", "X64", "true", "true", "the version is main"},
}

// The setup action puts a release on the PATH after it has checked the archive's sum, and its
// provenance with gh.
func TestSetupAction(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("AKSLOGIN_TEST_CLIENTS") == "required" {
			t.Fatal(err)
		}
		t.Skip("curl is not installed")
	}
	url, certificate := serveReleases(t)
	for _, c := range setupCases {
		t.Run(strings.Join([]string{c.version, c.system, c.processor, c.verify, c.gh}, ","), func(t *testing.T) {
			dir := t.TempDir()
			bin := setupTools(t, dir, c.gh)
			cmd := exec.Command(filepath.Join(bin, "bash"), filepath.Join(repository, ".github", "setup"))
			cmd.Env = []string{
				"PATH=" + bin, "CURL_CA_BUNDLE=" + certificate, "AKSLOGIN_RELEASES=" + url,
				"RUNNER_TEMP=" + dir, "RUNNER_OS=" + c.system, "RUNNER_ARCH=" + c.processor,
				"GITHUB_PATH=" + filepath.Join(dir, "path"), "GITHUB_OUTPUT=" + filepath.Join(dir, "output"),
				"INPUT_VERSION=" + c.version, "INPUT_VERIFY_PROVENANCE=" + c.verify,
			}
			out, err := cmd.CombinedOutput()
			path, _ := os.ReadFile(filepath.Join(dir, "path"))
			output, _ := os.ReadFile(filepath.Join(dir, "output"))
			asked, _ := os.ReadFile(filepath.Join(dir, "gh.log"))
			if c.want != "" {
				if err == nil || !strings.Contains(string(out), c.want) || len(path)+len(output) > 0 {
					t.Errorf("%v, PATH %q, output %q: %s", err, path, output, out)
				}
				return
			}
			if err != nil || string(output) != "version=v1.2.3\n" {
				t.Fatalf("%v, output %q: %s", err, output, out)
			}
			ran, err := exec.Command(filepath.Join(strings.TrimSpace(string(path)), "akslogin")).Output()
			if err != nil || string(ran) != "akslogin v1.2.3\n" {
				t.Errorf("PATH %q: %v: %s", path, err, ran)
			}
			const verified = "attestation verify " + setupArchive + " --repo akslogin/akslogin " +
				"--signer-workflow akslogin/akslogin/.github/workflows/release.yml\n"
			if want := map[string]string{"true": verified}[c.verify]; string(asked) != want {
				t.Errorf("gh %s, want %s", asked, want)
			}
		})
	}
}

// The action's inputs are the variables that its script reads.
func TestSetupActionInputs(t *testing.T) {
	var action struct {
		Inputs map[string]struct{ Description, Default string }
		Runs   struct {
			Steps []struct {
				Run string
				Env map[string]string
			}
		}
	}
	raw, err := os.ReadFile(filepath.Join(repository, "action.yml"))
	if err == nil {
		err = yaml.Unmarshal(raw, &action)
	}
	if err != nil || len(action.Runs.Steps) != 1 {
		t.Fatal(action, err)
	}
	step := action.Runs.Steps[0]
	for name, input := range action.Inputs {
		variable := "INPUT_" + strings.ReplaceAll(strings.ToUpper(name), "-", "_")
		if name == "token" {
			variable = "GH_TOKEN"
		}
		if input.Description == "" || input.Default == "" || step.Env[variable] != "${{ inputs."+name+" }}" {
			t.Errorf("%s: %+v, %s is %q", name, input, variable, step.Env[variable])
		}
	}
	if step.Run != `"$GITHUB_ACTION_PATH/.github/setup"` || len(step.Env) != len(action.Inputs) {
		t.Errorf("%+v", step)
	}
}
