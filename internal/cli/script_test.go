package cli

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/internal/warmstart"
	"github.com/akslogin/akslogin/token"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary all programs that scripts run. Started as "akslogin" it is the
// program, with a clock that $AKSLOGIN_LATER moves and shorter retry delays.
func TestMain(m *testing.M) {
	program := func() { os.Exit(run(os.Args[1:], testOptions())) }
	programs := map[string]func(){
		"akslogin":   program,
		"kubelogin":  program,
		"az":         fake{"az", runAz}.main,
		"azd":        fake{"azd", runAzd}.main,
		"signin":     signIn,
		"parallel":   runParallel,
		"normalized": runNormalized,
	}
	maps.Copy(programs, linuxPrograms)
	for name, main := range programs {
		programs[name] = func() { trustEmulator(); main() }
	}
	testscript.Main(mainWithCleanup{m}, programs)
}

const unreachableProxy = "http://127.0.0.1:1"

// mainWithCleanup removes the files that tests share and no single test can remove.
type mainWithCleanup struct{ *testing.M }

func (c mainWithCleanup) Run() int {
	defer func() { os.RemoveAll(buildDir) }()
	keepOffNetwork()
	return c.M.Run()
}

// keepOffNetwork makes this process, in which some tests run the program, reach only addresses of
// this machine. net/http reads the proxy's variables once, and this proxy does not answer.
func keepOffNetwork() {
	variables := map[string]string{"HTTPS_PROXY": unreachableProxy, "NO_PROXY": "", "no_proxy": ""}
	for name, value := range variables {
		if original, ok := os.LookupEnv(name); ok {
			defer os.Setenv(name, original)
		} else {
			defer os.Unsetenv(name)
		}
		os.Setenv(name, value)
	}
	request := &http.Request{URL: &url.URL{Scheme: "https", Host: "login.microsoftonline.com"}}
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil || proxy.String() != unreachableProxy {
		panic(fmt.Sprint("the proxy is ", proxy, ", ", err))
	}
}

// testOptions returns the options that scripts set by variables.
func testOptions() options {
	duration := func(variable string) time.Duration {
		d, _ := time.ParseDuration(os.Getenv(variable))
		return d
	}
	later := duration("AKSLOGIN_LATER")
	return options{
		started:       warmstart.Started(),
		warm:          warmstart.Current(),
		now:           func() time.Time { return time.Now().Add(later) },
		retryDelay:    5 * time.Millisecond,
		holderTimeout: duration("HOLDER_TIMEOUT"),
		maxLockWait:   duration("MAX_LOCK_WAIT"),

		kubeconfigLockTimeout: duration("KUBECONFIG_LOCK_TIMEOUT"),
	}
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup:               setup,
		Condition:           condition,
		Cmds:                scriptCommands(),
	})
}

// condition is true for
//
//	root    a script that runs as root
//	native  Linux itself: neither another system nor an emulated processor, which takes ten times
//	        as long and cannot run the system's own programs
func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	case "native":
		return runtime.GOOS == "linux" && os.Getenv("AKSLOGIN_TEST_EMULATED") == "", nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

type scriptCommand = func(ts *testscript.TestScript, neg bool, args []string)

func scriptCommands() map[string]scriptCommand {
	commands := map[string]scriptCommand{
		"by-hand":     cmdByHand,
		"copy-folder": cmdCopyFolder,
		"count-files": cmdCountFiles,
		"credential":  cmdCredential,
		"encode":      cmdEncode,
		"entra":       cmdEntra,
		"env-from":    cmdEnvFrom,
		"exitcode":    cmdExitcode,
		"fake":        cmdFake,
		"free-port":   cmdFreePort,
		"installed":   cmdInstalled,
		"no-secrets":  cmdNoSecrets,
		"oneline":     cmdOneline,
		"remove":      cmdRemove,
		"same":        cmdSame,
		"token-user":  cmdTokenUser,
	}
	maps.Copy(commands, linuxCommands)
	return commands
}

type serverKey struct{}

// notFound is $NOT_FOUND. It matches the errors of Unix, Windows and wine for a missing file.
const notFound = `(no such file or directory|cannot find the (file|path)|(File|Path) not found)`

// setup gives a script an emulated Entra ID of its own behind the public cloud's host names, a home
// folder, and a federated token in the file $TOKEN.
func setup(env *testscript.Env) error {
	s := entratest.New(env.T().(testing.TB))
	registerFixtures(s)
	env.Values[serverKey{}] = s
	home := filepath.Join(env.WorkDir, "home")
	federated := filepath.Join(env.WorkDir, "federated-token")
	for name, value := range map[string]string{
		"HOME": home, "CACHE": filepath.Join(home, ".cache", "akslogin"), "TOKEN": federated,
		"FAKE_LOG": filepath.Join(env.WorkDir, "fake.log"), "PARALLEL": parallelRuns,

		"TENANT": tenant, "OTHER_TENANT": otherTenant,
		"CLIENT": client, "OTHER_CLIENT": otherClient,
		"SERVER_ID": entratest.AKSServerID, "OTHER_SERVER_ID": otherServerID, "CLUSTER": clusterID,
		"METHODS": strings.Join(token.MethodNames(), ", "),
		"SUBJECT": subject, "GITHUB_SUBJECT": gitHubSubject, "PUBLIC_CLIENT": token.PublicClientID,
		"SECRET": secret, "OTHER_SECRET": otherSecret,
		"ALICE": alice, "BOB": bob, "CAROL": carol,
		"PASSWORD": password, "OTHER_PASSWORD": otherPassword,
		"SUBSCRIPTION": subscription, "OTHER_SUBSCRIPTION": otherSubscription,
		"CONNECTION": serviceConnection.ID, "OTHER_CONNECTION": otherConnection.ID,
		"MACHINE": machineIdentity, "IDENTITY": assignedIdentity, "IDENTITY_ID": assignedIdentityID,
		"IDENTITY_OBJECT": assignedObject,

		"ENTRA": s.URL, "ISSUER": s.Issuer,
		"HTTPS_PROXY": s.ProxyURL, "ENTRA_PROXY": s.ProxyURL, "SSL_CERT_FILE": s.CAFile,
		"TOKEN_PROXY": s.TokenProxyURL(), "TOKEN_PROXY_CA": s.TokenProxyCAFile,
		"IMDS": s.IMDSURL, "IMDS_HOST": strings.TrimPrefix(s.IMDSURL, "http://"),
		"AZURE_POD_IDENTITY_AUTHORITY_HOST": s.IMDSURL,

		"TOKEN_QUOTED": strconv.Quote(federated), "NOT_FOUND": notFound,

		"CI": "true", // so that a display of this machine does not count

		"EVIL": "a\x1b[31m\nb\r\u202ec", // a value with control characters
	} {
		env.Setenv(name, value)
	}
	if runtime.GOOS == "windows" { // whose folders do not depend on $HOME
		env.Setenv("USERPROFILE", home)
		env.Setenv("XDG_CACHE_HOME", filepath.Join(home, ".cache"))
		env.Setenv("XDG_DATA_HOME", filepath.Join(home, ".local", "share"))
	}
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	env.Defer(func() { killFakes(env.WorkDir) })
	if err := writeCertificates(env); err != nil {
		return err
	}
	assertion := s.Assertion(entratest.Claims{Subject: subject}) + "\n"
	return os.WriteFile(federated, []byte(assertion), 0o600)
}

func server(ts *testscript.TestScript) *entratest.Server {
	return ts.Value(serverKey{}).(*entratest.Server)
}
