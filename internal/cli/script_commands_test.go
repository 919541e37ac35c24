package cli

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/internal/execcredential"
	"github.com/rogpeppe/go-internal/testscript"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
)

func parseInt(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

func parseDuration(ts *testscript.TestScript, s string) time.Duration {
	d, err := time.ParseDuration(s)
	ts.Check(err)
	return d
}

// parsePairs reads name=value arguments, and calls the function of each name with its value.
func parsePairs(ts *testscript.TestScript, args []string, set map[string]func(value string)) {
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		if set[name] == nil {
			ts.Fatalf("unknown argument %q", name)
		}
		set[name](value)
	}
}

// cmdCredential checks that standard output consists of ExecCredentials which all hold the same
// token, signed by the emulator for an audience. It saves the token under a name:
//
//	credential NAME [audience=ID] [version=v1] [count=20] [pop=U] [jwt=FILE]
//
// With jwt each credential is the federated token in that file.
//
// With pop each credential is a proof of possession for the cluster U, signed anew, around the same
// access token. The access token is saved under NAME, the last proof under NAME-signed.
func cmdCredential(ts *testscript.TestScript, neg bool, args []string) {
	audience, version := entratest.AKSServerID, "client.authentication.k8s.io/v1beta1"
	count, host, federated := 1, "", ""
	parsePairs(ts, args[1:], map[string]func(string){
		"pop":      func(v string) { host = v },
		"jwt":      func(v string) { federated = strings.TrimSpace(ts.ReadFile(v)) },
		"audience": func(v string) { audience = v },
		"version":  func(v string) { version = "client.authentication.k8s.io/" + v },
		"count":    func(v string) { count = parseInt(ts, v) },
	})
	var tokens, proofs []string
	for decoder := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout"))); ; {
		var c clientauthentication.ExecCredential
		err := decoder.Decode(&c)
		if err == io.EOF {
			break
		}
		ts.Check(err)
		if c.Kind != "ExecCredential" || c.APIVersion != version || c.Status == nil {
			ts.Fatalf("not an ExecCredential of %s: %+v", version, c)
		}
		access := c.Status.Token
		if federated != "" {
			if access != federated {
				ts.Fatalf("the token is not the federated token")
			}
		} else if host == "" {
			_, err = server(ts).Verify(access, audience)
		} else {
			access, err = verifyPoP(ts, c.Status, audience, host)
			if slices.Contains(proofs, c.Status.Token) {
				ts.Fatalf("two runs printed the same proof")
			}
			proofs = append(proofs, c.Status.Token)
			ts.Setenv("credential_"+args[0]+"-signed", c.Status.Token)
		}
		if err != nil {
			ts.Fatalf("the token does not verify: %v", err)
		}
		if c.Status.ExpirationTimestamp == nil || !c.Status.ExpirationTimestamp.After(time.Now()) {
			ts.Fatalf("bad expiry %v", c.Status.ExpirationTimestamp)
		}
		tokens = append(tokens, access)
	}
	different := len(slices.Compact(slices.Sorted(slices.Values(tokens))))
	if len(tokens) != count || different != 1 {
		ts.Fatalf("%d credentials, %d different; want %d of one", len(tokens), different, count)
	}
	ts.Setenv("credential_"+args[0], tokens[0])
}

// verifyPoP verifies a proof of possession, and returns the access token in it. The credential must
// expire with the proof, within ten minutes.
func verifyPoP(
	ts *testscript.TestScript,
	status *clientauthentication.ExecCredentialStatus,
	audience, host string,
) (accessToken string, err error) {
	later, _ := time.ParseDuration(ts.Getenv("AKSLOGIN_LATER"))
	now := time.Now().Add(later)
	if _, err := server(ts).VerifyPoPWithSkew(later, status.Token, audience, host); err != nil {
		return "", err
	}
	if left := status.ExpirationTimestamp.Sub(now); left > 10*time.Minute {
		return "", fmt.Errorf("it expires only in %s", left)
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.Split(status.Token, ".")[1])
	var signed struct{ At string }
	if err == nil {
		err = json.Unmarshal(claims, &signed)
	}
	return signed.At, err
}

// cmdSame compares two saved tokens: same NAME NAME.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	a, b := ts.Getenv("credential_"+args[0]), ts.Getenv("credential_"+args[1])
	if a == "" || b == "" {
		ts.Fatalf("no such credential")
	}
	if (a == b) == neg {
		ts.Fatalf("tokens are the same: %v", a == b)
	}
}

// cmdNoSecrets fails if an output, a file, or a file below a folder holds a secret: a token or
// assertion that the emulator issued or received, or one of those in $SECRETS.
//
//	no-secrets stdout|stderr|PATH...
func cmdNoSecrets(ts *testscript.TestScript, neg bool, args []string) {
	s := server(ts)
	secrets := slices.Concat(s.IssuedTokens(), s.SeenAssertions(), s.SeenSecrets())
	secrets = append(secrets, strings.Fields(ts.Getenv("SECRETS"))...)
	secrets = append(secrets, ts.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
	secrets = append(secrets, strings.TrimSpace(ts.ReadFile(ts.Getenv("TOKEN"))))
	check := func(where, content string) {
		for _, secret := range secrets {
			signature := secret[strings.LastIndexByte(secret, '.')+1:]
			if len(secret) > 8 && strings.Contains(content, secret) ||
				len(signature) > 40 && strings.Contains(content, signature) {
				ts.Fatalf("%s holds a secret", where)
			}
		}
	}
	for _, arg := range args {
		if arg == "stdout" || arg == "stderr" {
			check(arg, ts.ReadFile(arg))
			continue
		}
		ts.Check(filepath.WalkDir(ts.MkAbs(arg), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			check(path, string(content))
			return err
		}))
	}
}

// cmdOneline checks that standard error is one error line and at most one hint line, each of
// bounded length and without control characters.
func cmdOneline(ts *testscript.TestScript, neg bool, args []string) {
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stderr"), "\n"), "\n")
	ok := len(lines) <= 2 && strings.HasPrefix(lines[0], "akslogin: error: ") &&
		(len(lines) == 1 || strings.HasPrefix(lines[1], "akslogin: hint: "))
	isControl := func(c rune) bool { return c < ' ' }
	for _, line := range lines {
		ok = ok && len(line) < 1000 && !strings.ContainsFunc(line, isControl)
	}
	if !ok {
		ts.Fatalf("not one error line and at most one hint line:\n%s", strings.Join(lines, "\n"))
	}
}

// cmdByHand runs a program as exec does, but not as a client would: without the variable that
// clients set. by-hand akslogin cache clear.
func cmdByHand(ts *testscript.TestScript, neg bool, args []string) {
	info := ts.Getenv(execcredential.InfoVariable)
	ts.Setenv(execcredential.InfoVariable, "")
	ts.Check(ts.Exec(args[0], args[1:]...))
	ts.Setenv(execcredential.InfoVariable, info)
}

// cmdExitcode runs a command and checks its exit status: exitcode 2 akslogin ...
func cmdExitcode(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if want := parseInt(ts, args[0]); !errors.As(err, &exit) || exit.ExitCode() != want {
		ts.Fatalf("ended with %v, want status %d", err, want)
	}
}

// cmdTokenUser checks which user a saved token belongs to: token-user NAME USER.
func cmdTokenUser(ts *testscript.TestScript, neg bool, args []string) {
	var claims struct{ UPN string }
	payload := strings.Split(ts.Getenv("credential_"+args[0])+"..", ".")[1]
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	ts.Check(err)
	ts.Check(json.Unmarshal(raw, &claims))
	if (claims.UPN == args[1]) == neg {
		ts.Fatalf("the token belongs to %s", claims.UPN)
	}
}

// cmdInstalled sets PATH to a folder with these of the test's programs only, followed by the
// system's folders: installed akslogin az.
func cmdInstalled(ts *testscript.TestScript, neg bool, args []string) {
	folder := ts.MkAbs("installed")
	ts.Check(os.RemoveAll(folder))
	ts.Check(os.Mkdir(folder, 0o700))
	for _, name := range args {
		program, err := exec.LookPath(name)
		ts.Check(err)
		ts.Check(os.Link(program, filepath.Join(folder, filepath.Base(program))))
	}
	ts.Setenv("PATH", folder+string(filepath.ListSeparator)+systemPath)
}

// cmdFreePort sets a variable to a free TCP port on localhost: free-port PORT.
func cmdFreePort(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], strconv.Itoa(freePort(func(all ...any) { ts.Fatalf("%v", all) })))
}

// freePort returns a TCP port on localhost that nobody listens on.
func freePort(fatal func(...any)) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
