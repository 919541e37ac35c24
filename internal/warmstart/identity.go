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
	"github.com/akslogin/akslogin/internal/envvar"
)

// WellKnownTokenFile is where the AKS webhook mounts the federated token. A test compares it with
// the one in package token, which cannot be imported here.
const WellKnownTokenFile = "/var/run/secrets/azure/tokens/azure-identity-token"

const (
	workloadIdentity  = "workloadidentity"
	tokenFileVariable = "AZURE_FEDERATED_TOKEN_FILE"
	caFileVariable    = "AZURE_KUBERNETES_CA_FILE"
)

// maxInputFile is the largest federated token and the largest token proxy CA file, in bytes. A run
// with a larger one has no stored answer.
const maxInputFile = 64 << 10

// formatVersion is a part of every identity. Change it when the same inputs lead to another answer
// from now on, for builds that programID cannot tell apart. The version in the program's build
// information costs as much to read as all the rest.
const formatVersion = "warm start 2"

// Run is this process as one of the runs that share a stored answer: those with the same identity.
// A nil *Run has no stored answer, and its methods do nothing.
type Run struct {
	args, environ []string

	box    *sealed.Box // seals the answer; made from the identity
	dir    string      // the cache directory
	named  bool        // an argument or a variable names dir
	secret []byte      // the federated token

	lock         *os.File  // the writer's lock until ReleaseWaiters; nil if not held
	waitingSince time.Time // when the wait for another writer began; zero if there was none
}

// newRun returns the run of get-token with these arguments and this environment, which has each
// name once, as os.Environ has. It returns nil if an input cannot be read, or if nothing tells this
// build from others.
func newRun(args, environ []string) *Run {
	program := programID()
	if program == "" {
		return nil
	}
	inputs := make([]string, 0, len(args)+32) // growing would touch more pages
	inputs = append(inputs, formatVersion, program, strconv.Itoa(len(args)))
	inputs = append(inputs, args...)
	variables := countedVariables(environ)
	inputs = append(inputs, variables...)
	if file := lookup(variables, caFileVariable); file != "" {
		ca, err := sealed.ReadRegular(file, maxInputFile)
		if err != nil {
			return nil
		}
		inputs = append(inputs, string(ca))
	}
	tokenFile := cmp.Or(FlagValue(args, "--federated-token-file"),
		lookup(variables, tokenFileVariable), WellKnownTokenFile)
	federated, err := sealed.ReadRegular(tokenFile, maxInputFile)
	federated = bytes.TrimSpace(federated)
	if err != nil || len(federated) == 0 {
		return nil
	}
	dir := cmp.Or(FlagValue(args, "--cache-dir", "--token-cache-dir"),
		lookup(variables, "AKSLOGIN_CACHE_DIR"), lookup(variables, "KUBECACHEDIR"))
	box, err := sealed.NewBox(federated, inputs...)
	if err != nil {
		return nil
	}
	return &Run{
		args: args, environ: environ,
		box: box, dir: cacheDir(dir), named: dir != "", secret: federated,
	}
}

// useFallback makes the run use the directory in the temporary directory, if cache.Dir's OrFallback
// does. It reports whether it did. Answers in the user's cache directory are looked for first: the
// check would cost every warm run some system calls.
func (r *Run) useFallback() bool {
	if r == nil || r.named || sealed.Usable(r.dir) == nil {
		return false
	}
	r.dir = sealed.FallbackDir()
	return true
}

// countedVariables returns the variables that count, as NAME=VALUE and sorted. Those of secrets are
// without their value.
func countedVariables(environ []string) []string {
	variables := make([]string, 0, 32)
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if runtime.GOOS == "windows" { // where names are case-insensitive
			name = strings.ToUpper(name)
			line = name + "=" + value
		}
		if value == "" || !envvar.InKey(name) { // an empty variable counts as unset
			continue
		}
		if envvar.Secret(name) {
			line = name
		}
		variables = append(variables, line)
	}
	slices.Sort(variables)
	return variables
}

// lookup returns a variable's value, "" if it is unset.
func lookup(variables []string, name string) string {
	for _, line := range variables {
		if n, value, _ := strings.Cut(line, "="); n == name {
			return value
		}
	}
	return ""
}

// cacheDir returns what cache.ResolveDir returns, without the packages that it imports. Save stores
// nothing if the two differ.
func cacheDir(path string) string {
	path = sealed.ExpandVariables(path)
	switch rest, inHome := strings.CutPrefix(path, "~"); {
	case path == "":
		base := os.Getenv("XDG_CACHE_HOME")
		if !sealed.IsAbs(base) {
			base = userCacheDir()
		}
		return join(base, "akslogin")
	case inHome && (rest == "" || os.IsPathSeparator(rest[0])):
		return join(os.Getenv(homeVariable), rest)
	}
	return absolute(path)
}

// programID tells builds apart, since another one may answer differently: by the build ID in
// memory, and by the size and modification time of the program's file, in case the build has no ID.
// It returns "" if nothing is known.
func programID() string {
	id := buildID()
	path, err := os.Executable()
	if err != nil {
		return id
	}
	fi, err := os.Stat(path)
	if err != nil {
		return id
	}
	modified := strconv.FormatInt(fi.ModTime().UnixNano(), 10)
	return id + " " + strconv.FormatInt(fi.Size(), 10) + " " + modified
}

// FlagValue returns the value of the last of the named flags in args, "" if there is none. It reads
// "--flag value" and "--flag=value" before "--", and knows nothing of other flags.
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
