package token_test

import (
	"path/filepath"
	"time"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/entratest"
)

// emulatedPod is a pod with a federated token, beside an emulated Entra ID.
type emulatedPod struct {
	server *entratest.Server
	env    map[string]string // the pod's environment
	dir    cache.Dir
	tb     *entratest.ProgramTB
}

// startPod starts the emulator for an example.
func startPod() *emulatedPod {
	tb := &entratest.ProgramTB{Name: "example"}
	server := entratest.New(tb)
	workload := server.NewWorkload(time.Hour)
	return &emulatedPod{
		server: server,
		// The token proxy of an AKS cluster is the way to the emulator that needs no change of this
		// process's environment and root certificates.
		env: map[string]string{
			"AZURE_CLIENT_ID":              workload.ClientID,
			"AZURE_TENANT_ID":              workload.TenantID,
			"AZURE_FEDERATED_TOKEN_FILE":   workload.TokenFile,
			"AZURE_KUBERNETES_TOKEN_PROXY": server.TokenProxyURL(),
			"AZURE_KUBERNETES_CA_FILE":     server.TokenProxyCAFile,
		},
		dir: cache.Dir{Path: filepath.Join(filepath.Dir(workload.TokenFile), "cache")},
		tb:  tb,
	}
}

// getenv is os.Getenv in the pod.
func (p *emulatedPod) getenv(name string) string { return p.env[name] }

// stop stops the emulator and panics if it got a request that a well-behaved client does not send.
func (p *emulatedPod) stop() {
	if err := p.tb.Close(); err != nil {
		panic(err)
	}
}
