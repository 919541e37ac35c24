package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

// An installed program, and how to run it.
type installed struct {
	root string   // what the program sees as the root directory; "/" for most
	user int      // who runs it
	argv []string // the command line that runs it, up to its own arguments
	env  []string // besides the workload's
}

// ways are all ways to install a release that can be tried here.
var ways = map[string]func(t *testing.T) installed{
	"deb":     installDeb,
	"rpm":     installRPM,
	"apk":     unpackAPK,
	"archive": unpackArchive,
	"wheel":   installWheel,
	"image":   unpackImage,
}

// hostFile returns the release's file of that extension for this machine.
func hostFile(t *testing.T, extension string) string {
	t.Helper()
	return distFile(t, "akslogin_*_linux_"+runtime.GOARCH+extension)
}

// A program logs in once, and then answers from its cache, however it was installed. It says the
// release's version.
func TestInstalled(t *testing.T) {
	for name, install := range ways {
		t.Run(name, func(t *testing.T) {
			p, r := install(t), distRelease(t)
			if out := mustRun(t, p.command("--version")); !strings.HasPrefix(out, "akslogin "+r.tag+"\n") {
				t.Errorf("version %q", out)
			}
			server := entratest.New(t)
			p.prepare(t, server)
			for _, start := range []string{"cold", "warm"} {
				out := mustRun(t, p.command("get-token", "--login", "workloadidentity"))
				var credential struct{ Status struct{ Token string } }
				if err := json.Unmarshal([]byte(out), &credential); err != nil {
					t.Fatal(err)
				}
				if _, err := server.Verify(credential.Status.Token, entratest.AKSServerID); err != nil {
					t.Error(err)
				}
				if n := server.TokenRequests(); n != 1 {
					t.Errorf("%s: %d token requests, want 1 in all", start, n)
				}
			}
		})
	}
}

// prepare gives the program the environment of a pod with workload identity.
func (p *installed) prepare(t *testing.T, server *entratest.Server) {
	t.Helper()
	w := server.NewWorkload(time.Hour)
	files := map[string]string{"SSL_CERT_FILE": server.CAFile, "AZURE_FEDERATED_TOKEN_FILE": w.TokenFile}
	for variable, source := range files {
		inside := "/var/run/secrets/" + filepath.Base(source)
		if p.root != "/" {
			path := filepath.Join(p.root, inside)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, path, string(readFile(t, source)))
			source = inside
		}
		p.env = append(p.env, variable+"="+source)
	}
	p.env = append(p.env, "HTTPS_PROXY="+server.ProxyURL,
		"AZURE_TENANT_ID="+w.TenantID, "AZURE_CLIENT_ID="+w.ClientID)
	if p.root == "/" {
		p.env = append(p.env, "HOME="+t.TempDir())
	}
}

func (p installed) command(args ...string) *exec.Cmd {
	argv := slices.Concat(p.argv, args)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = p.env
	return cmd
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		missing(t, "only root can install into another root directory")
	}
}

func installDeb(t *testing.T) installed {
	needRoot(t)
	root, deb := t.TempDir(), hostFile(t, ".deb")
	for _, dir := range []string{"info", "updates"} {
		if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "")
	dpkg := func(args ...string) string {
		return tool(t, "dpkg", append([]string{"--root=" + root, "--force-not-root", "--log=/dev/null"}, args...)...)
	}
	dpkg("--install", deb)
	if out := dpkg("--verify", "akslogin"); out != "" {
		t.Errorf("dpkg --verify: %s", out)
	}
	checkDocuments(t, root, "usr/share/zsh/vendor-completions/_akslogin")
	t.Cleanup(func() {
		dpkg("--purge", "akslogin")
		if left, err := os.ReadDir(filepath.Join(root, "usr")); err == nil && len(left) > 0 {
			t.Errorf("dpkg --purge leaves %v", left)
		}
	})
	return installed{root: "/", argv: []string{filepath.Join(root, "usr/bin/akslogin")}}
}

func installRPM(t *testing.T) installed {
	needRoot(t)
	root, rpm := t.TempDir(), hostFile(t, ".rpm")
	db := "--dbpath=" + filepath.Join(root, "db")
	tool(t, "rpm", "--checksig", db, rpm)
	if host := tool(t, "rpm", "-qp", db, "--qf", "%{BUILDHOST} %{BUILDTIME}", rpm); !strings.HasPrefix(host, "localhost ") {
		t.Errorf("built on %s", host)
	}
	// Debian's rpm does not install where dpkg does, unless forced to.
	tool(t, "rpm", "--root="+root, "--dbpath=/db", "--force-debian", "--nodeps", "--install", rpm)
	if out := tool(t, "rpm", "--root="+root, "--dbpath=/db", "--verify", "akslogin"); out != "" {
		t.Errorf("rpm --verify: %s", out)
	}
	checkDocuments(t, root, "usr/share/zsh/site-functions/_akslogin")
	return installed{root: "/", argv: []string{filepath.Join(root, "usr/bin/akslogin")}}
}

// unpackAPK does not install it: Debian has no apk.
func unpackAPK(t *testing.T) installed {
	root := t.TempDir()
	unpackTar(t, readFile(t, hostFile(t, ".apk")), root)
	checkDocuments(t, root, "usr/share/zsh/site-functions/_akslogin")
	return installed{root: "/", argv: []string{filepath.Join(root, "usr/bin/akslogin")}}
}

// checkDocuments checks what packages bring besides the program.
func checkDocuments(t *testing.T, root, zsh string) {
	t.Helper()
	for _, name := range []string{
		"usr/share/man/man1/akslogin.1.gz", "usr/share/bash-completion/completions/akslogin", zsh,
		"usr/share/fish/vendor_completions.d/akslogin.fish", "usr/share/doc/akslogin/copyright",
		"usr/share/doc/akslogin/README.md",
	} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Mode() != 0o644 || info.Size() == 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func unpackArchive(t *testing.T) installed {
	dir := t.TempDir()
	tool(t, "tar", "-xzf", hostFile(t, ".tar.gz"), "-C", dir)
	return installed{root: "/", argv: []string{filepath.Join(dir, "akslogin")}}
}

// python runs the distribution's Python, which has the distribution's packages.
func python() string { return cmp.Or(os.Getenv("AKSLOGIN_TEST_PYTHON"), "/usr/bin/python3") }

// newVenv makes a virtual environment with the release's wheel in it, as examples/astro names it.
func newVenv(t *testing.T) (bin string) {
	t.Helper()
	dir, dist := t.TempDir(), filepath.Dir(distFile(t, "akslogin_*_oci.tar"))
	out, err := exec.Command(python(), "-m", "venv", "--system-site-packages", dir).CombinedOutput()
	if err != nil {
		missing(t, "no virtual environments (apt-get install python3-venv): %s", out)
	}
	bin = filepath.Join(dir, "bin")
	requirements := string(readFile(t, "../../examples/astro/requirements.txt"))
	requirement := regexp.MustCompile(`(?m)^akslogin.*$`).FindString(requirements)
	pip := exec.Command(filepath.Join(bin, "pip"), "install", "--no-index", "--find-links", dist, requirement)
	pip.Env = []string{"HOME=" + dir, "PIP_CONFIG_FILE=" + os.DevNull, "PATH=/usr/bin:/bin"}
	mustRun(t, pip)
	return bin
}

func installWheel(t *testing.T) installed {
	bin := newVenv(t)
	list := mustRun(t, exec.Command(filepath.Join(bin, "pip"), "show", "--files", "akslogin"))
	for _, want := range []string{
		"Version: " + distRelease(t).python() + "\n", "  ../../../bin/akslogin\n",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in %s", want, list)
		}
	}
	// By its name, from the PATH.
	return installed{
		root: "/", argv: []string{"/usr/bin/env", "akslogin"}, env: []string{"PATH=" + bin + ":/usr/bin:/bin"},
	}
}

// unpackImage runs the image's program as a container engine would: in the image as root directory,
// as the image's user and with its variables, /proc and a home directory that cannot be written.
func unpackImage(t *testing.T) installed {
	needRoot(t)
	layout, root := t.TempDir(), t.TempDir()
	unpackTar(t, readFile(t, distFile(t, "akslogin_*_oci.tar")), layout)
	checkLayout(t, layout, distRelease(t).version())
	image := ociImage{layout}
	headers, contents := image.layer(t, runtime.GOARCH)
	unpack(t, headers, contents, root)
	config := image.config(t, runtime.GOARCH).Config
	if config.User != imageUser || !slices.Equal(config.Entrypoint, []string{"/usr/local/bin/akslogin"}) {
		t.Errorf("%+v", config)
	}
	if err := os.Mkdir(filepath.Join(root, "proc"), 0o555); err != nil {
		t.Fatal(err)
	}
	user, _, _ := strings.Cut(imageUser, ":")
	argv := []string{
		"unshare", "--mount", "--pid", "--fork", "--mount-proc", "--root=" + root,
		"--setuid", user, "--setgid", user, "--wd", "/",
	}
	if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "--mount-proc", "true").CombinedOutput(); err != nil {
		missing(t, "this root may not mount: %s", out)
	}
	uid, err := strconv.Atoi(user)
	if err != nil {
		t.Fatal(err)
	}
	return installed{
		root: root, user: uid, argv: append(argv, config.Entrypoint...), env: append(config.Env, "HOME=/"),
	}
}

// The image's cache is in /tmp, where only its user can read it.
func TestImageCache(t *testing.T) {
	p := unpackImage(t)
	p.prepare(t, entratest.New(t))
	mustRun(t, p.command("get-token", "--login", "workloadidentity"))
	var files int
	err := filepath.WalkDir(filepath.Join(p.root, "tmp"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		if info, err := d.Info(); err != nil || filepath.Base(path) != "tmp" && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}

// As an init container, the image copies its program into a volume that another container mounts.
func TestImageInstalls(t *testing.T) {
	p := unpackImage(t)
	volume := filepath.Join(p.root, "shared")
	if err := os.Mkdir(volume, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(volume, p.user, p.user); err != nil {
		t.Fatal(err)
	}
	mustRun(t, p.command("install", "--to", "/shared"))
	mustRun(t, p.command("install", "--to", "/shared", "--as", "kubelogin"))
	want := readFile(t, filepath.Join(p.root, imageProgram))
	for _, name := range []string{"akslogin", "kubelogin"} {
		path := filepath.Join(volume, name)
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o755 || !bytes.Equal(readFile(t, path), want) {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
