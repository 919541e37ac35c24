package warmstart

import (
	"bytes"
	"cmp"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

// ownPrefix are this program's own variables; all of them count.
const ownPrefix = "AKSLOGIN_"

// variableNames are the others that the program reads, in order; a test in main compares them with
// those that its commands name.
var variableNames = []string{
	"AAD_LOGIN_METHOD",
	"AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE",
	"AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE_PASSWORD",
	"AAD_SERVICE_PRINCIPAL_CLIENT_ID",
	"AAD_SERVICE_PRINCIPAL_CLIENT_SECRET",
	"AAD_USER_PRINCIPAL_NAME",
	"AAD_USER_PRINCIPAL_PASSWORD",
	"ACTIONS_ID_TOKEN_REQUEST_TOKEN",
	"ACTIONS_ID_TOKEN_REQUEST_URL",
	"ARM_CLIENT_CERTIFICATE_PASSWORD",
	"ARM_CLIENT_CERTIFICATE_PATH",
	"ARM_CLIENT_ID",
	"ARM_CLIENT_SECRET",
	"ARM_TENANT_ID",
	"AZD_AUTH_ENDPOINT",
	"AZD_CONFIG_DIR",
	"AZURESUBSCRIPTION_CLIENT_ID",
	"AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
	"AZURESUBSCRIPTION_TENANT_ID",
	"AZURE_AUTHORITY_HOST",
	"AZURE_CLIENT_CERTIFICATE_PASSWORD",
	"AZURE_CLIENT_CERTIFICATE_PATH",
	"AZURE_CLIENT_ID",
	"AZURE_CLIENT_SECRET",
	"AZURE_CLI_TIMEOUT",
	"AZURE_CLOUD_NAME",
	"AZURE_CONFIG_DIR",
	tokenFileVariable,
	"AZURE_KUBERNETES_CA_DATA",
	caFileVariable,
	"AZURE_KUBERNETES_SNI_NAME",
	"AZURE_KUBERNETES_TOKEN_PROXY",
	"AZURE_PASSWORD",
	"AZURE_POD_IDENTITY_AUTHORITY_HOST",
	"AZURE_REGIONAL_AUTHORITY_NAME",
	"AZURE_SUBSCRIPTION_ID",
	"AZURE_TENANT_ID",
	"AZURE_USERNAME",
	"BROWSER",
	"DEFAULT_IDENTITY_CLIENT_ID",
	"HTTPS_PROXY",
	"IDENTITY_ENDPOINT",
	"IDENTITY_HEADER",
	"IDENTITY_SERVER_THUMBPRINT",
	"IMDS_ENDPOINT",
	"KUBECACHEDIR",
	"KUBERNETES_EXEC_INFO",
	"MSAL_FORCE_REGION",
	"MSI_ENDPOINT",
	"MSI_SECRET",
	"NO_PROXY",
	"SSL_CERT_DIR",
	"SSL_CERT_FILE",
	"SYSTEM_ACCESSTOKEN",
	"SYSTEM_OIDCREQUESTURI",
	"https_proxy",
	"no_proxy",
}

// WellKnownTokenFile is token's.
const WellKnownTokenFile = "/var/run/secrets/azure/tokens/azure-identity-token"

const workloadIdentity = "workloadidentity"

const tokenFileVariable = "AZURE_FEDERATED_TOKEN_FILE"

const caFileVariable = "AZURE_KUBERNETES_CA_FILE" // of a file whose content counts

const maxInputFile = 64 << 10 // a larger federated token or token proxy's CA has no memo

// Run is where the answer to this process's command line is kept.
type Run struct {
	args, environ []string

	box    *sealed.Box
	dir    string
	secret []byte

	lock         *os.File  // the lock on making the memo, until Yield; nil: not held
	waitingSince time.Time // when this process began to wait for who had it; zero: it did not
}

// newRun is the memo for a command line and an environment in which every name stands once, as in
// os.Environ's; nil where it can have none.
func newRun(args, environment []string) *Run {
	set, inputs := map[string]string{}, make([]string, 0, len(args)+32) // growing would cost pages
	inputs = append(append(inputs, "memo", executableID(), strconv.Itoa(len(args))), args...)
	counted := len(inputs)
	for _, line := range environment {
		name, value, _ := strings.Cut(line, "=")
		if runtime.GOOS == "windows" { // where os.Getenv finds it however it is written
			name = strings.ToUpper(name)
		}
		if _, known := slices.BinarySearch(
			variableNames,
			name,
		); value != "" &&
			(known || strings.HasPrefix(name, ownPrefix)) { // an empty variable is an unset one
			set[name] = value
			if strings.HasSuffix(name, "SECRET") ||
				strings.HasSuffix(
					name,
					"PASSWORD",
				) { // no such run reads it, and with it somebody could try guesses
				line = name
			}
			inputs = append(inputs, line)
		}
	}
	slices.Sort(inputs[counted:])
	if file := set[caFileVariable]; file != "" {
		ca, err := sealed.ReadRegular(file, maxInputFile)
		if err != nil {
			return nil
		}
		inputs = append(inputs, string(ca))
	}
	federated, err := sealed.ReadRegular(
		cmp.Or(
			FlagValue(args, "--federated-token-file"),
			set[tokenFileVariable],
			WellKnownTokenFile,
		),
		maxInputFile,
	)
	m := &Run{
		args:    args,
		environ: environment,
		dir: cacheDir(
			cmp.Or(
				FlagValue(args, "--cache-dir", "--token-cache-dir"),
				set["AKSLOGIN_CACHE_DIR"],
				set["KUBECACHEDIR"],
			),
		),
		secret: bytes.TrimSpace(federated),
	}
	if err != nil || len(m.secret) == 0 {
		return nil
	}
	m.box, err = sealed.NewBox(m.secret, inputs...)
	if err != nil {
		return nil
	}
	return m
}

// cacheDir is cache.Folder's, without what that imports. Where it is another, nothing is kept.
func cacheDir(named string) string {
	switch rest, below := strings.CutPrefix(named, "~"); {
	case named == "":
		home := os.Getenv("XDG_CACHE_HOME")
		if !sealed.IsAbs(home) {
			home = userCacheDir()
		}
		return join(home, "akslogin")
	case below && (rest == "" || os.IsPathSeparator(rest[0])):
		return join(os.Getenv(homeVariable), rest)
	case sealed.IsAbs(named):
		return join(named)
	}
	here, _ := os.Getwd()
	return join(here, named)
}

// formatVersion has to change where the same run is answered otherwise from now on. What the build
// recorded of itself would do, but reading that costs as much as all the rest.
const formatVersion = "memo 1"

// executableID tells builds of the program apart: another one may decide otherwise.
func executableID() string {
	path, err := os.Executable()
	if err != nil {
		return formatVersion
	}
	fi, err := os.Stat(path)
	if err != nil {
		return formatVersion
	}
	return formatVersion + " " + strconv.FormatInt(
		fi.Size(),
		10,
	) + " " + strconv.FormatInt(
		fi.ModTime().UnixNano(),
		10,
	)
}

// FlagValue is the value of the last of some flags, where it stands as most write it; "" where
// there is none.
func FlagValue(args []string, names ...string) (value string) {
	for i, arg := range args {
		if arg == "--" {
			break
		}
		name, attached, isAttached := strings.Cut(arg, "=")
		switch {
		case !slices.Contains(names, name):
		case isAttached:
			value = attached
		case i+1 < len(args):
			value = args[i+1]
		}
	}
	return value
}

// Variables are those by which memos differ, and what all variables of this program begin with.
func Variables() (names []string, prefix string) { return slices.Clone(variableNames), ownPrefix }
