// Demo shows the program at work without an Azure account: it starts an emulated Entra ID behind
// the public cloud's names and runs the exec stanza of examples/kubeconfig.yaml through the real
// binary: cold, warm, and twenty at once.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1beta1"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	tenant  = "11111111-aaaa-4444-8888-000000000001"
	client  = "22222222-bbbb-4444-8888-000000000001"
	subject = "system:serviceaccount:airflow:worker"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo PROGRAM")
		os.Exit(2)
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		fmt.Fprintln(
			os.Stderr,
			"demo: it makes the program trust the emulator by SSL_CERT_FILE, which Go does not read on "+runtime.GOOS+"; run it on Linux",
		)
		os.Exit(1)
	}
	tb := &entratest.ProgramTB{Name: "demo"}
	err := run(tb, os.Args[1])
	if unexpected := tb.Close(); err == nil {
		err = unexpected
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// execConfig is the command that a client would run.
type execConfig struct {
	program string
	args    []string
	env     []string
}

func run(tb entratest.TB, program string) error {
	entra := entratest.New(tb)
	entra.Register(
		entratest.App{
			Tenant:   tenant,
			ClientID: client,
			FederatedCredentials: []entratest.FederatedCredential{
				{Issuer: entra.Issuer, Subject: subject},
			},
		},
	)
	s, err := newExecConfig(program, tb.TempDir(), entra)
	if err != nil {
		return err
	}
	fmt.Printf(
		"The exec stanza of examples/kubeconfig.yaml, with the blanks filled in:\n\n  akslogin %s\n\n",
		strings.Join(s.args, " "),
	)

	var before []byte
	for _, step := range steps {
		if before, err = s.runStep(entra, step, before); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	list, err := s.command("cache", "list").Output()
	fmt.Printf("\nThe cache, sealed with the federated token:\n\n%s", list)
	return err
}

// step is a number of runs at once and the number of requests that they may cost.
type step struct {
	name               string
	runs, wantRequests int
	clearCache         bool // what is cached, before it
}

var steps = []step{
	{name: "cold", runs: 1, wantRequests: 1},
	{name: "warm", runs: 1, wantRequests: 0},
	{name: "twenty at once, cold", runs: 20, wantRequests: 1, clearCache: true},
}

// runStep runs a step and prints what it cost. All runs must give one answer, and without
// forgetting the one from before.
func (s *execConfig) runStep(
	entra *entratest.Server,
	step step,
	before []byte,
) (answer []byte, err error) {
	if step.clearCache {
		before = nil
		if out, err := s.command("cache", "clear").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("cache clear: %w\n%s", err, out)
		}
	}
	entra.ResetCounters()
	answers, took, err := s.runParallel(step.runs)
	if err != nil {
		return nil, err
	}
	if before == nil && step.runs == 1 {
		shown, err := truncateToken(answers[0])
		if err != nil {
			return nil, err
		}
		fmt.Printf("kubectl would get:\n\n%s\n\n", shown)
	}
	requests := entra.Requests()
	fmt.Printf(
		"%-22s %2d runs %9s, %d requests and %d connections to Entra ID\n",
		step.name,
		step.runs,
		took.Round(100*time.Microsecond),
		len(requests),
		entra.Connections(),
	)
	for _, request := range requests {
		fmt.Printf("%-22s %s\n", "", request)
	}
	if len(requests) != step.wantRequests {
		return nil, fmt.Errorf("%d requests, expected %d", len(requests), step.wantRequests)
	}
	if before == nil {
		before = answers[0]
	}
	for _, one := range answers {
		if !bytes.Equal(one, before) {
			return nil, errors.New("the answers differ")
		}
	}
	return before, nil
}

// newExecConfig takes the command from the example and gives it the emulator's values.
func newExecConfig(program, home string, entra *entratest.Server) (*execConfig, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join("examples", "kubeconfig.yaml"))
	if err != nil {
		return nil, err
	}
	federated := filepath.Join(home, "azure-identity-token")
	if err := os.WriteFile(
		federated,
		[]byte(entra.Assertion(entratest.Claims{Subject: subject})),
		0o600,
	); err != nil {
		return nil, err
	}
	config, err := clientcmd.Load([]byte(strings.NewReplacer(
		"<tenant ID>", tenant, "<client ID of the managed identity>", client,
		"/var/run/secrets/azure/tokens/azure-identity-token", federated,
		"<the cluster's CA certificate, PEM in base64>", "",
	).Replace(string(raw))))
	if err != nil {
		return nil, err
	}
	return &execConfig{
		program: program,
		args:    config.AuthInfos["workload"].Exec.Args,
		env: []string{
			"PATH=" + os.Getenv(
				"PATH",
			),
			"HOME=" + home, // nothing else of the caller's: it may be in a pod of its own
			"HTTPS_PROXY=" + entra.ProxyURL,
			"SSL_CERT_FILE=" + entra.CAFile,
		},
	}, nil
}

func (s *execConfig) command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.program, args...)
	cmd.Env = s.env
	return cmd
}

// runParallel runs the stanza n times at once.
func (s *execConfig) runParallel(n int) (outputs [][]byte, took time.Duration, err error) {
	outputs = make([][]byte, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	began := time.Now()
	for i := range n {
		all.Go(func() {
			cmd := s.command(s.args...)
			var words bytes.Buffer
			cmd.Stderr = &words
			if outputs[i], errs[i] = cmd.Output(); errs[i] != nil {
				errs[i] = fmt.Errorf("%w\n%s", errs[i], words.String())
			}
		})
	}
	all.Wait()
	return outputs, time.Since(began), errors.Join(errs...)
}

// truncateToken makes an ExecCredential readable, and its token unusable.
func truncateToken(raw []byte) (string, error) {
	var c clientauthentication.ExecCredential
	if err := json.Unmarshal(raw, &c); err != nil {
		return "", err
	}
	if len(c.Status.Token) < 100 {
		return "", errors.New("that is no token")
	}
	c.Status.Token = c.Status.Token[:24] + "..."
	out, err := json.MarshalIndent(c, "  ", "  ")
	return "  " + string(out), err
}
