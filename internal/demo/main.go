// Demo shows akslogin at work without an Azure account. It starts the emulated Entra ID behind the
// public cloud's host names and runs the exec config of examples/kubeconfig.yaml with the real
// binary: with an empty cache, with a cached token, and twenty times at once.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1beta1"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	pictures := flag.String("pictures", "", "write demo.svg and doctor.svg to this `directory`")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: demo [-pictures DIRECTORY] AKSLOGIN")
		os.Exit(2)
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		fmt.Fprintf(os.Stderr, "demo: error: akslogin trusts the emulator through SSL_CERT_FILE, "+
			"which Go does not read on %s; run it on Linux\n", runtime.GOOS)
		os.Exit(1)
	}
	if err := run(flag.Arg(0), *pictures); err != nil {
		fmt.Fprintln(os.Stderr, "demo: error:", err)
		os.Exit(1)
	}
}

// run shows the program at work. If pictures is not "", it also writes what it printed, and what
// doctor says of an exec config with a wrong client ID, as pictures into that directory.
func run(program, pictures string) (err error) {
	entra, err := startEmulator()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, entra.stop()) }()
	home, err := os.MkdirTemp("", "akslogin-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	config, err := newExecConfig(program, home, entra.env)
	if err != nil {
		return err
	}
	var printed bytes.Buffer
	if err := config.show(entra, io.MultiWriter(os.Stdout, &printed)); err != nil {
		return err
	}
	if pictures == "" {
		return nil
	}
	// The last of two flags counts.
	doctor := config.command(append([]string{"doctor"}, append(config.args[1:], "--client-id", wrongClient)...)...)
	findings, err := doctor.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return err
	}
	command := []byte("$ akslogin doctor --client-id " + wrongClient + "\n")
	return errors.Join(
		writePicture(filepath.Join(pictures, "demo.svg"), append([]byte("$ make demo\n"), printed.Bytes()...)),
		writePicture(filepath.Join(pictures, "doctor.svg"), append(command, findings...)),
	)
}

// wrongClient is the ID of an application that does not exist.
const wrongClient = "99999999-bbbb-4444-8888-000000000001"

// show runs all steps and prints what happens.
func (c *execConfig) show(entra *emulator, w io.Writer) (err error) {
	fmt.Fprintf(w, "The exec config of examples/kubeconfig.yaml, with the blanks filled in:\n\n"+
		"  akslogin %s\n\n", strings.Join(c.args, " "))

	var cached []byte
	for _, step := range steps {
		if cached, err = c.runStep(entra, step, cached, w); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	list, err := c.command("cache", "list").Output()
	fmt.Fprintf(w, "\nThe cache, sealed with the federated token:\n\n%s", list)
	return err
}

// A step runs the exec config a number of times at once.
type step struct {
	name         string
	runs         int
	wantRequests int  // to Entra ID, by all runs together
	clearCache   bool // before the runs
}

var steps = []step{
	{name: "cold", runs: 1, wantRequests: 1},
	{name: "warm", runs: 1, wantRequests: 0},
	{name: "twenty at once, cold", runs: 20, wantRequests: 1, clearCache: true},
}

// An execConfig is the command that kubectl would run.
type execConfig struct {
	program string
	args    []string
	env     []string
}

// newExecConfig reads the exec config of the example and fills in the emulator's values. home is
// the home directory of the runs.
func newExecConfig(program, home string, emulator map[string]string) (*execConfig, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	example, err := os.ReadFile(filepath.Join("examples", "kubeconfig.yaml"))
	if err != nil {
		return nil, err
	}
	tokenFile := emulator["AZURE_FEDERATED_TOKEN_FILE"]
	blanks := strings.NewReplacer(
		"<tenant ID>", emulator["AZURE_TENANT_ID"],
		"<client ID of the managed identity>", emulator["AZURE_CLIENT_ID"],
		"/var/run/secrets/azure/tokens/azure-identity-token", tokenFile,
		"<the cluster's CA certificate, PEM in base64>", "",
	)
	kubeconfig, err := clientcmd.Load([]byte(blanks.Replace(string(example))))
	if err != nil {
		return nil, err
	}
	return &execConfig{
		program: program,
		args:    kubeconfig.AuthInfos["workload"].Exec.Args,
		env: []string{ // nothing else of the caller's, which may be in a pod of its own
			"PATH=" + os.Getenv("PATH"),
			"HOME=" + home,
			"HTTPS_PROXY=" + emulator["HTTPS_PROXY"],
			"SSL_CERT_FILE=" + emulator["SSL_CERT_FILE"],
		},
	}, nil
}

func (c *execConfig) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.program, args...)
	cmd.Env = c.env
	return cmd
}

// runStep runs a step, prints its time and requests, and returns the exec credential that the runs
// printed. It fails unless every run prints the same: the cached one, if cached is not nil and the
// step does not clear the cache.
func (c *execConfig) runStep(entra *emulator, step step, cached []byte, w io.Writer) ([]byte, error) {
	if step.clearCache {
		cached = nil
		if out, err := c.command("cache", "clear").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cache clear: %w\n%s", err, out)
		}
	}
	if err := entra.resetCounters(); err != nil {
		return nil, err
	}
	credentials, elapsed, err := c.runParallel(step.runs)
	if err != nil {
		return nil, err
	}
	traffic, err := entra.traffic()
	if err != nil {
		return nil, err
	}
	if cached == nil && step.runs == 1 {
		readable, err := truncateToken(credentials[0])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(w, "kubectl would get:\n\n%s\n\n", readable)
	}
	fmt.Fprintf(w, "%-22s %2d runs %9s, %d requests and %d connections to Entra ID\n", step.name,
		step.runs, elapsed.Round(100*time.Microsecond), len(traffic.Requests), traffic.Connections)
	for _, request := range traffic.Requests {
		fmt.Fprintf(w, "%-22s %s\n", "", request)
	}
	if n := len(traffic.Requests); n != step.wantRequests {
		return nil, fmt.Errorf("%d requests, expected %d", n, step.wantRequests)
	}
	if cached == nil {
		cached = credentials[0]
	}
	for _, credential := range credentials {
		if !bytes.Equal(credential, cached) {
			return nil, errors.New("the exec credentials differ")
		}
	}
	return cached, nil
}

// runParallel runs the exec config n times at once.
func (c *execConfig) runParallel(n int) (outputs [][]byte, elapsed time.Duration, err error) {
	outputs = make([][]byte, n)
	errs := make([]error, n)
	var runs sync.WaitGroup
	start := time.Now()
	for i := range n {
		runs.Go(func() {
			cmd := c.command(c.args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if outputs[i], errs[i] = cmd.Output(); errs[i] != nil {
				errs[i] = fmt.Errorf("%w\n%s", errs[i], stderr.String())
			}
		})
	}
	runs.Wait()
	return outputs, time.Since(start), errors.Join(errs...)
}

// truncateToken indents an ExecCredential and makes its token short and unusable.
func truncateToken(raw []byte) (string, error) {
	var credential clientauthentication.ExecCredential
	if err := json.Unmarshal(raw, &credential); err != nil {
		return "", err
	}
	if len(credential.Status.Token) < 100 {
		return "", errors.New("the exec credential has no token")
	}
	credential.Status.Token = credential.Status.Token[:24] + "..."
	out, err := json.MarshalIndent(credential, "  ", "  ")
	return "  " + string(out), err
}
