package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/token"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/akslogin/akslogin/internal/warmstart"
)

// The scripts run on Linux: they trust the emulator by SSL_CERT_FILE, which Go does not read on
// macOS and Windows. The test binary is the program: as "akslogin" it is run, with a clock that
// $AKSLOGIN_LATER moves and a shorter pace.
func TestMain(m *testing.M) {
	program := func() { os.Exit(run(os.Args[1:], testOptions())) }
	testscript.Main(mainWithCleanup{m}, map[string]func(){
		"akslogin": program, "kubelogin": program,
		"az": fake{"az", runAz}.main, "azd": fake{"azd", runAzd}.main,
		"signin": signIn, "chromium-signin": chromiumSignIn, "vm": runWithIMDS, "names": runWithDNS, "at-once": runParallel,
		"keyless": runWithoutKeyring, "normal": runNormalized,
	})
}

// mainWithCleanup removes what tests share and cannot remove themselves.
type mainWithCleanup struct{ *testing.M }

func (c mainWithCleanup) Run() int {
	defer func() { os.RemoveAll(buildDir) }()
	return c.M.Run()
}

func testOptions() options {
	duration := func(variable string) time.Duration {
		d, _ := time.ParseDuration(os.Getenv(variable))
		return d
	}
	later := duration("AKSLOGIN_LATER")
	return options{
		warm:          warmstart.Current(),
		now:           func() time.Time { return time.Now().Add(later) },
		retryDelay:    5 * time.Millisecond,
		holderTimeout: duration("PATIENCE"),
		maxLockWait:   duration("QUEUE"),

		kubeconfigLockTimeout: duration("LOCK_PATIENCE"),
	}
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup:               setup,
		Condition: func(name string) (bool, error) {
			switch name {
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"entra": cmdEntra, "credential": cmdCredential, "same": cmdSame, "secretless": cmdSecretless, "signal": cmdSignal, "oneline": cmdOneline, "tmpfs": cmdTmpfs, "blocked": cmdBlocked, "exitcode": cmdExitcode,
			"whose": cmdWhose, "fake": cmdFake, "free-port": cmdFreePort, "installed": cmdInstalled,
		},
	})
}

type serverKey struct{}

// setup gives a script its own Entra ID behind the public cloud's names, a home, and a federated
// token in $TOKEN.
func setup(env *testscript.Env) error {
	s := entratest.New(env.T().(testing.TB))
	registerFixtures(s)
	env.Values[serverKey{}] = s
	home := filepath.Join(env.WorkDir, "home")
	federated := filepath.Join(env.WorkDir, "federated-token")
	for name, value := range map[string]string{
		"HOME": home, "TOKEN": federated, "TENANT": tenant, "OTHER_TENANT": otherTenant, "CLIENT": client, "OTHER_CLIENT": otherClient,
		"CLUSTER": clusterID, "SERVER_ID": entratest.AKSServerID, "OTHER_SERVER_ID": otherServerID, "SUBJECT": subject, "GITHUB_SUBJECT": gitHubSubject,
		"CACHE": filepath.Join(home, ".cache", "akslogin"), "ENTRA": s.URL, "ISSUER": s.Issuer,
		"HTTPS_PROXY": s.ProxyURL, "ENTRA_PROXY": s.ProxyURL, "SSL_CERT_FILE": s.CAFile,
		"TOKEN_PROXY": s.TokenProxyURL(), "TOKEN_PROXY_CA": s.TokenProxyCAFile,
		"SECRET": secret, "OTHER_SECRET": otherSecret, "ALICE": alice, "BOB": bob, "CAROL": carol, "PASSWORD": password, "OTHER_PASSWORD": otherPassword,
		"SUBSCRIPTION": subscription, "OTHER_SUBSCRIPTION": otherSubscription, "CONNECTION": serviceConnection.ID, "OTHER_CONNECTION": otherConnection.ID, "PUBLIC_CLIENT": token.PublicClientID,
		"IMDS": s.IMDSURL, "IMDS_HOST": strings.TrimPrefix(s.IMDSURL, "http://"), "AZURE_POD_IDENTITY_AUTHORITY_HOST": s.IMDSURL, "MACHINE": machineIdentity, "IDENTITY": assignedIdentity, "IDENTITY_ID": assignedIdentityID, "FAKE_LOG": filepath.Join(env.WorkDir, "fake.log"),
		"CROWD": parallelRuns, "EVIL": "a\x1b[31m\nb\r\u202ec",
	} {
		env.Setenv(name, value)
	}
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	env.Defer(func() { killFakes(env.WorkDir) })
	if err := writeCertificates(env); err != nil {
		return err
	}
	return os.WriteFile(federated, []byte(s.Assertion(entratest.Claims{Subject: subject})+"\n"), 0o600)
}

func server(ts *testscript.TestScript) *entratest.Server {
	return ts.Value(serverKey{}).(*entratest.Server)
}
