// Package memo answers a run of get-token that is like an earlier one, before the rest of the program is initialised.
//
// Most of what a warm run costs is the initialisation of packages that it has no use for. Go initialises a package as soon as those that it imports are
// ready, and of several that are the first by import path (https://go.dev/ref/spec#Package_initialization). This one imports little, so its turn comes before the
// SDK's, Kubernetes' and the network's; where it has the answer, it prints it and ends the program.
//
// A memo is what an earlier run printed, sealed with the federated token that was exchanged and with all else that could have made that run end
// otherwise: the program itself, the command line, every variable that it reads, and a token proxy's CA. It counts for as long as that run said that its token would be
// handed out as it is; then, and wherever anything differs, the program goes its usual way. So a run with a federated token from a file must not come to depend on
// anything else. Which file and which folder are meant is guessed here from the command line as most write it: that a guess was wrong is found out when the memo
// is to be kept, by comparing both with what the login used.
package memo

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
	"github.com/akslogin/akslogin/internal/process"
)

// own are this program's own variables; all of them count.
const own = "AKSLOGIN_"

// variables are the others that the program reads, in order; a test in main compares them with those that its commands name.
var variables = []string{
	"AAD_LOGIN_METHOD", "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE", "AAD_SERVICE_PRINCIPAL_CLIENT_CERTIFICATE_PASSWORD", "AAD_SERVICE_PRINCIPAL_CLIENT_ID",
	"AAD_SERVICE_PRINCIPAL_CLIENT_SECRET", "AAD_USER_PRINCIPAL_NAME", "AAD_USER_PRINCIPAL_PASSWORD", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL",
	"ARM_CLIENT_CERTIFICATE_PASSWORD", "ARM_CLIENT_CERTIFICATE_PATH", "ARM_CLIENT_ID", "ARM_CLIENT_SECRET", "ARM_TENANT_ID",
	"AZD_AUTH_ENDPOINT", "AZD_CONFIG_DIR", "AZURESUBSCRIPTION_CLIENT_ID", "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "AZURESUBSCRIPTION_TENANT_ID",
	"AZURE_AUTHORITY_HOST", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLI_TIMEOUT",
	"AZURE_CLOUD_NAME", "AZURE_CONFIG_DIR", tokenFileVariable, "AZURE_KUBERNETES_CA_DATA", caFileVariable, "AZURE_KUBERNETES_SNI_NAME", "AZURE_KUBERNETES_TOKEN_PROXY",
	"AZURE_PASSWORD", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "AZURE_REGIONAL_AUTHORITY_NAME", "AZURE_SUBSCRIPTION_ID", "AZURE_TENANT_ID", "AZURE_USERNAME",
	"BROWSER", "DEFAULT_IDENTITY_CLIENT_ID", "HTTPS_PROXY", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT",
	"KUBECACHEDIR", "KUBERNETES_EXEC_INFO", "MSAL_FORCE_REGION", "MSI_ENDPOINT", "MSI_SECRET", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE",
	"SYSTEM_ACCESSTOKEN", "SYSTEM_OIDCREQUESTURI", "https_proxy", "no_proxy",
}

const (
	// WellKnownTokenFile is token's.
	WellKnownTokenFile = "/var/run/secrets/azure/tokens/azure-identity-token"

	workloadIdentity  = "workloadidentity"
	tokenFileVariable = "AZURE_FEDERATED_TOKEN_FILE"
	caFileVariable    = "AZURE_KUBERNETES_CA_FILE" // of a file whose content counts

	maxFile  = 64 << 10        // a larger federated token or token proxy's CA has no memo
	needed   = 11              // descriptors: Go's poller takes two for good, and dies where it cannot, the lock one; a login that follows wants eight more
	unread   = time.Minute     // the longest that standard output may take to be read
	patience = 3 * time.Second // a disk that takes longer is left to the rest of the program, which can do without it
	turnTime = 2 * time.Second // likewise a process that makes the memo
)

// Memo is where the answer to this process's command line is kept.
type Memo struct {
	args, environment []string

	box    *sealed.Box
	folder string
	secret []byte

	turn   *os.File  // the lock on making the memo, until Yield; nil: not held
	queued time.Time // when this process began to wait for who had it; zero: it did not
}

// current is this process's; nil where it is not one that can have a memo.
var current = recall()

// recall ends the program with the memo's answer if there is one, now or when who is at it has made it.
func recall() *Memo {
	if len(os.Args) < 2 || os.Args[1] != "get-token" {
		return nil
	}
	process.KeepOffDisk()
	if process.Room(needed) < needed {
		return nil
	}
	type found struct {
		memo   *Memo
		answer []byte
		absent bool
	}
	looked, _ := within(patience, func() (f found) {
		f.memo = of(os.Args[2:], os.Environ())
		f.answer, f.absent = f.memo.answer(time.Now())
		return f
	})
	m, answer := looked.memo, looked.answer
	if looked.absent && keeps(os.Args[2:], os.Getenv("AAD_LOGIN_METHOD")) {
		answer = m.await(turnTime)
	}
	if answer != nil {
		tell(answer)
	}
	return m
}

// keeps tells whether such a run will keep a memo, so that it is worth waiting for, as far as its words show: one that has something to say, proves a possession or
// logs in otherwise does not.
func keeps(args []string, login string) bool {
	for _, arg := range args {
		if strings.HasPrefix(arg, "-v") || strings.HasPrefix(arg, "--v") || strings.HasPrefix(arg, "--pop-enabled") {
			return false
		}
	}
	return cmp.Or(login, Flag(args, "--login", "-l"), workloadIdentity) == workloadIdentity
}

// within does something that may take for ever, and waits for it no longer than that.
func within[T any](atMost time.Duration, do func() T) (done T, inTime bool) {
	ended, late := make(chan T, 1), make(chan struct{})
	go func() { ended <- do() }()
	timer := time.AfterFunc(atMost, func() { close(late) }) // NewTimer would look up a GODEBUG setting first, which costs as much as reading a file
	defer timer.Stop()
	select {
	case done = <-ended:
		return done, true
	case <-late:
		return done, false
	}
}

// await waits for the process that is making this memo, and returns its answer. Where there is none it takes its turn, and others wait for this process. It saves
// the many that start at once the usual way; what is right rests on nothing here.
func (m *Memo) await(atMost time.Duration) (answer []byte) {
	began := time.Now()
	type taken struct {
		lock   *os.File
		held   bool // by another process before
		answer []byte
	}
	var late atomic.Bool
	got, inTime := within(atMost, func() (t taken) {
		f, err := sealed.OpenLock(m.box.Path(m.folder, sealed.LockSuffix))
		if err != nil { // as where there is no folder yet
			return t
		}
		switch err := sealed.Lock(f, false); {
		case err == nil:
			t.lock = f
		case errors.Is(err, sealed.ErrHeld):
			t.held = true
			_ = sealed.Lock(f, true)
			f.Close() // the others that wait need not wait for this one
		default:
			f.Close()
			return t
		}
		t.answer, _ = m.answer(time.Now()) // it may have been made between our look and our turn too
		if t.lock != nil && (t.answer != nil || late.Load()) {
			giveBack(f)
			t.lock = nil
		}
		return t
	})
	late.Store(!inTime)
	m.turn = got.lock
	if got.held || !inTime {
		m.queued = began
	}
	return got.answer
}

// Yield lets those who wait for this process's memo go on.
func Yield() {
	m := current
	if m == nil || m.turn == nil {
		return
	}
	turn := m.turn
	m.turn = nil
	within(patience, func() error { return giveBack(turn) })
}

func giveBack(turn *os.File) error {
	if runtime.GOOS == "windows" { // where no open file is removed
		turn.Close()
	}
	defer turn.Close()
	return os.Remove(turn.Name())
}

// tell prints an answer and ends the program. It returns where nothing was printed: the usual way will say what is wrong with standard output.
func tell(answer []byte) {
	fail := func(what string) {
		os.Stderr.WriteString("akslogin: error: " + what + "\n")
		os.Exit(1)
	}
	time.AfterFunc(unread, func() { fail("nobody reads the answer from standard output") })
	n, err := 0, error(nil)
	if runtime.GOOS != "windows" { // os.Stdout would end the program without a word if the client has gone
		n, err = syscall.Write(syscall.Stdout, answer)
		n = max(n, 0)
	}
	if n < len(answer) && !errors.Is(err, syscall.EPIPE) { // it takes less at once, or nothing just now
		var more int
		more, err = os.Stdout.Write(answer[n:])
		n += more
	}
	switch {
	case err == nil:
		os.Exit(0)
	case n > 0:
		fail("standard output took a part of the answer only: " + err.Error())
	}
}

// of is the memo for a command line and an environment in which every name stands once, as in os.Environ's; nil where it can have none.
func of(args, environment []string) *Memo {
	set, inputs := map[string]string{}, make([]string, 0, len(args)+32) // growing would cost pages
	inputs = append(append(inputs, "memo", program(), strconv.Itoa(len(args))), args...)
	counted := len(inputs)
	for _, line := range environment {
		name, value, _ := strings.Cut(line, "=")
		if runtime.GOOS == "windows" { // where os.Getenv finds it however it is written
			name = strings.ToUpper(name)
		}
		if _, known := slices.BinarySearch(variables, name); value != "" && (known || strings.HasPrefix(name, own)) { // an empty variable is an unset one
			set[name] = value
			if strings.HasSuffix(name, "SECRET") || strings.HasSuffix(name, "PASSWORD") { // no such run reads it, and with it somebody could try guesses
				line = name
			}
			inputs = append(inputs, line)
		}
	}
	slices.Sort(inputs[counted:])
	if file := set[caFileVariable]; file != "" {
		ca, err := sealed.Read(file, maxFile)
		if err != nil {
			return nil
		}
		inputs = append(inputs, string(ca))
	}
	federated, err := sealed.Read(cmp.Or(Flag(args, "--federated-token-file"), set[tokenFileVariable], WellKnownTokenFile), maxFile)
	m := &Memo{
		args: args, environment: environment,
		folder: folder(cmp.Or(Flag(args, "--cache-dir", "--token-cache-dir"), set["AKSLOGIN_CACHE_DIR"], set["KUBECACHEDIR"])),
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

// folder is cache.Folder's, without what that imports. Where it is another, nothing is kept.
func folder(named string) string {
	switch rest, below := strings.CutPrefix(named, "~"); {
	case named == "":
		home := os.Getenv("XDG_CACHE_HOME")
		if !sealed.IsAbs(home) {
			home = userCache()
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

// rules has to change where the same run is answered otherwise from now on. What the build recorded of itself would do, but reading that costs as much as all the rest.
const rules = "memo 1"

// program tells builds of the program apart: another one may decide otherwise.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return rules
	}
	fi, err := os.Stat(path)
	if err != nil {
		return rules
	}
	return rules + " " + strconv.FormatInt(fi.Size(), 10) + " " + strconv.FormatInt(fi.ModTime().UnixNano(), 10)
}

// Flag is the value of the last of some flags, where it stands as most write it; "" where there is none.
func Flag(args []string, names ...string) (value string) {
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

// answer is what the memo holds, if its time is now; else nil, and so is that of no memo. absent: there is none yet.
func (m *Memo) answer(now time.Time) (answer []byte, absent bool) {
	if m == nil {
		return nil, false
	}
	kept, err := m.box.Get(m.folder, sealed.MemoSuffix)
	if err != nil || len(kept) < 2*8 {
		return nil, errors.Is(err, fs.ErrNotExist)
	}
	from, until := binary.BigEndian.Uint64(kept), binary.BigEndian.Uint64(kept[8:])
	if now := uint64(now.Unix()); now < from || now >= until {
		return nil, false
	}
	return kept[2*8:], false
}

// Waited is how long ago this process began to wait for another one that was making the same memo; 0: it did not.
func Waited() time.Duration {
	if current == nil || current.queued.IsZero() {
		return 0
	}
	return time.Since(current.queued)
}

// Keep has put keep what this process has printed now, to be printed again by one that is called the same between two times. secret is what the login has
// presented and folder where its token is cached: where they are not what the memo would be found by, nothing is kept, and neither where it is there
// already. put stores under a box's name in folder (cache.Dir's PutMemo). It takes no longer than three seconds.
func Keep(printed []byte, now, from, until time.Time, secret []byte, folder string, put func(box *sealed.Box, content []byte, expires time.Time) error) {
	m := current
	if m == nil {
		return
	}
	within(patience, func() error {
		if m.folder != folder || !bytes.Equal(m.secret, secret) || from.Unix() < 0 || !now.Before(until) {
			return nil
		}
		again := of(m.args, m.environment)
		if again == nil || again.box.Name != m.box.Name || again.folder != m.folder { // a file has changed, and who knows which the login read
			return nil
		}
		if answer, _ := m.answer(now); answer != nil {
			return nil
		}
		times := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(from.Unix()+1)), uint64(until.Unix()))
		return put(m.box, append(times, printed...), until) // without it the next run takes the usual way
	})
}

// Variables are those by which memos differ, and what all variables of this program begin with.
func Variables() (names []string, prefix string) { return slices.Clone(variables), own }
