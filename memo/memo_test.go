//go:build unix

package memo

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/adrg/xdg"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/cache/sealed"
)

// run is a command line and an environment with a federated token in a file, as of wants them.
func run(t testing.TB, args, environment []string) (withToken []string, env []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(" a.b.c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return append([]string{"--federated-token-file", file, "--cache-dir", filepath.Dir(file)}, args...), environment
}

// put stores content as a memo.
func put(m *Memo, content []byte) error {
	return cache.Dir{Path: m.folder}.PutMemo(m.box, content, time.Now().Add(time.Hour))
}

// kept is a memo's content with what was printed, for an hour.
func kept(now time.Time, printed string) []byte {
	times := binary.BigEndian.AppendUint64(nil, uint64(now.Add(-time.Minute).Unix()))
	return append(binary.BigEndian.AppendUint64(times, uint64(now.Add(time.Hour).Unix())), printed...)
}

func TestKeptBetweenTwoTimes(t *testing.T) {
	m := of(run(t, nil, nil))
	defer func() { current = nil }()
	current = m
	now := time.Unix(time.Now().Unix(), 0)
	keep := func(from, until time.Time, secret, folder string) {
		t.Helper()
		Keep([]byte("printed"), now, from, until, []byte(secret), folder, cache.Dir{Path: folder}.PutMemo)
	}
	keep(now.Add(-time.Minute), now.Add(time.Hour), "another.token.x", m.folder)
	keep(now.Add(-time.Minute), now.Add(time.Hour), "a.b.c", t.TempDir())
	keep(now.Add(-time.Hour), now, "a.b.c", m.folder)
	keep(time.Time{}, now.Add(time.Hour), "a.b.c", m.folder)
	if got, _ := m.answer(now); got != nil {
		t.Fatalf("kept %q", got)
	}
	keep(now.Add(-time.Minute), now.Add(time.Hour), "a.b.c", m.folder)
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{now.Add(-time.Minute), ""}, {now.Add(-time.Minute + time.Second), "printed"}, {now, "printed"}, {now.Add(time.Hour - time.Second), "printed"},
		{now.Add(time.Hour), ""}, {now.Add(100 * time.Hour), ""}, {time.Unix(-1, 0), ""}, {time.Time{}, ""},
	} {
		if got, _ := m.answer(c.at); string(got) != c.want {
			t.Errorf("at %s: %q, want %q", c.at, got, c.want)
		}
	}
	entries, err := cache.Dir{Path: m.folder}.List()
	if err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// A file that has changed since it was read for the memo may have been read so or so by the login.
func TestNotKeptWhereAFileHasChanged(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := of(run(t, nil, []string{caFileVariable + "=" + ca}))
	defer func() { current = nil }()
	current = m
	now := time.Now()
	if err := os.WriteFile(ca, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	Keep([]byte("printed"), now, now.Add(-time.Minute), now.Add(time.Hour), m.secret, m.folder, cache.Dir{Path: m.folder}.PutMemo)
	if got, _ := m.answer(now); got != nil {
		t.Errorf("kept %q", got)
	}
}

// Who finds no memo takes the turn to make it, and the others wait for him; what they do not get from him they do themselves.
func TestAwait(t *testing.T) {
	args, _ := run(t, nil, nil)
	first, second, third := of(args, nil), of(args, nil), of(args, nil)
	if answer := first.await(time.Hour); answer != nil || first.turn == nil || !first.queued.IsZero() {
		t.Fatalf("the first: %q, turn %v", answer, first.turn)
	}
	if answer := second.await(time.Millisecond); answer != nil || second.turn != nil || second.queued.IsZero() {
		t.Fatalf("without patience: %q, turn %v, waits since %s", answer, second.turn, second.queued)
	}
	waits := func(m *Memo) (answered chan []byte) {
		answered = make(chan []byte)
		go func() { answered <- m.await(time.Hour) }()
		return answered
	}
	answered := waits(third)
	if err := put(first, kept(time.Now(), "printed")); err != nil {
		t.Fatal(err)
	}
	defer func() { current = nil }()
	current = first
	Yield()
	if answer := <-answered; string(answer) != "printed" || third.turn != nil {
		t.Errorf("who waited: %q, turn %v", answer, third.turn)
	}
	if left, err := filepath.Glob(filepath.Join(first.folder, "*.lock")); err != nil || len(left) > 0 {
		t.Errorf("left is %q, %v", left, err)
	}

	// The first one fails: who waited goes on, and nobody waits for him.
	args, _ = run(t, nil, nil)
	first, second, third = of(args, nil), of(args, nil), of(args, nil)
	first.await(time.Hour)
	answered = waits(second)
	first.turn.Close()
	if answer := <-answered; answer != nil {
		t.Errorf("nobody answers: %q", answer)
	}
	if second.turn != nil { // it came after the first had ended
		second.turn.Close()
	}
	if third.await(time.Hour); third.turn == nil {
		t.Error("nobody is at it, and the third does not take its turn")
	}
}

// Where there can be no lock, nobody waits, and nothing is made or touched.
func TestNoTurn(t *testing.T) {
	args, _ := run(t, nil, nil)
	m := of(args, nil)
	lock := filepath.Join(m.folder, m.box.Name+".lock")
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, lay := range map[string]func() error{
		"link":      func() error { return os.Symlink(other, lock) },
		"hard link": func() error { return os.Link(other, lock) },
		"pipe":      func() error { return syscall.Mkfifo(lock, 0o600) },
		"folder":    func() error { return os.Mkdir(lock, 0o700) },
	} {
		if err := lay(); err != nil {
			t.Fatal(err)
		}
		if answer := m.await(time.Hour); answer != nil || m.turn != nil {
			t.Errorf("%s: %q, turn %v", name, answer, m.turn)
		}
		if err := os.Remove(lock); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if raw, err := os.ReadFile(other); err != nil || string(raw) != "other" {
		t.Errorf("%q, %v", raw, err)
	}
	m.folder = filepath.Join(m.folder, "none")
	if answer := m.await(time.Hour); answer != nil || m.turn != nil {
		t.Errorf("no folder: %q, turn %v", answer, m.turn)
	}
	if _, err := os.Stat(m.folder); err == nil {
		t.Error("a folder was made")
	}
}

func TestKeeps(t *testing.T) {
	for line, want := range map[string]bool{
		"": true, "--login workloadidentity": true, "-l workloadidentity --tenant-id x": true, "--login spn": false, "-l=azurecli": false, "-v 5": false, "-v5": false, "--v=1": false,
		"--pop-enabled": false, "--pop-enabled=true": false, "--client-id vvv": true,
	} {
		if got := keeps(strings.Fields(line), ""); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
	if keeps(nil, "spn") || !keeps([]string{"--login", "spn"}, "workloadidentity") { // the variable wins
		t.Error("$AAD_LOGIN_METHOD does not count")
	}
}

// Whatever is kept is sealed, so only this program wrote it; it may be of another version, though.
func TestShortMemos(t *testing.T) {
	m := of(run(t, nil, nil))
	for n := range 16 {
		if err := put(m, bytes.Repeat([]byte{0xff}, n)); err != nil {
			t.Fatal(err)
		}
		if got, _ := m.answer(time.Now()); got != nil {
			t.Errorf("%d bytes: %q", n, got)
		}
	}
}

func TestNoMemo(t *testing.T) {
	dir := t.TempDir()
	pipe, empty, large := filepath.Join(dir, "pipe"), filepath.Join(dir, "empty"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{empty: " \n", large: strings.Repeat("x", maxFile+1)} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{pipe, empty, large, dir, filepath.Join(dir, "none")} {
		if m := of([]string{"--federated-token-file", file}, nil); m != nil {
			t.Errorf("%s: a memo", file)
		}
		if m := of(run(t, nil, []string{caFileVariable + "=" + file})); m != nil && file != empty {
			t.Errorf("a token proxy's CA in %s: a memo", file)
		}
	}
	if m := of(nil, nil); m != nil {
		t.Error("a memo without a federated token")
	}
	if got, _ := (*Memo)(nil).answer(time.Now()); got != nil {
		t.Errorf("%q", got)
	}
}

func TestFlag(t *testing.T) {
	for line, want := range map[string]string{
		"": "", "--a": "", "--a x": "x", "--a=x": "x", "--a=": "", "--a x --a=y": "y", "--a=y --a x": "x", "--b x --aa=y -a=z": "", "--old x": "x", "--a x --old y": "y", "--a=x --a": "x", "--a x -- --a y": "x", "-- --a y": "",
	} {
		if got := Flag(strings.Fields(line), "--a", "--old"); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// The folder is the one that the rest of the program uses, however it is named.
func TestFolder(t *testing.T) {
	t.Cleanup(func() { xdg.Reload() }) // when the variables are again what they were
	for _, home := range []string{"/home/somebody", "/home//somebody/", ""} {
		for _, xdgHome := range []string{"", "/var/cache", "/var//cache/.", "relative"} {
			t.Setenv("HOME", home)
			t.Setenv("XDG_CACHE_HOME", xdgHome)
			xdg.Reload()
			for _, named := range []string{"", "/a", "/a//b/../c/", "~", "~/c", "~//c/", "~somebody", "c", "./c", "../c", "."} {
				if got, want := folder(named), cache.Folder(named); got != want && (home != "" || !strings.HasPrefix(named, "~")) {
					t.Errorf("%q where HOME=%q and XDG_CACHE_HOME=%q: %s, want %s", named, home, xdgHome, got, want)
				}
			}
		}
	}
}

func TestVariablesAreInOrder(t *testing.T) {
	if !slices.IsSorted(variables) {
		t.Error("they are looked up by halves")
	}
}

// Runs that differ in an argument or in a variable that counts have different memos; in other variables and in their order, the same.
func FuzzMemosDiffer(f *testing.F) {
	f.Add("--client-id\x00c", "AZURE_CLIENT_ID=x", "--client-id\x00c", "AZURE_CLIENT_ID=y")
	f.Add("x\x00AZURE_CLIENT_ID=y", "", "x", "AZURE_CLIENT_ID=y")
	f.Add("1\x00x", "", "x", "")
	f.Add("x", "AZURE_PASSWORD=a", "x", "AZURE_PASSWORD=b")
	f.Add("x", "AZURE_PASSWORD=a", "x", "")
	f.Add("", "AZURE_CLIENT_ID=x\x00PATH=1\x00AKSLOGIN_X=1", "", "AKSLOGIN_X=1\x00AZURE_CLIENT_ID=x\x00PATH=2\x00AZURE_TENANT_ID=")
	f.Add("x\x00--", "", "--y", "")
	f.Fuzz(func(t *testing.T, args1, env1, args2, env2 string) {
		if slices.Contains(strings.Split(args1+"\x00"+args2, "\x00"), "--") {
			t.Skip("no flag is looked for behind that, and so no federated token found")
		}
		args, _ := run(t, nil, nil)
		read := func(more, environment string) (*Memo, []string, map[string]string) {
			all, counted := slices.Concat(strings.Split(more, "\x00"), args), map[string]string{}
			var lines []string
			for _, line := range strings.Split(environment, "\x00") {
				name, value, _ := strings.Cut(line, "=")
				if _, twice := counted[name]; twice || name == caFileVariable || strings.HasSuffix(name, "_DIR") || name == "KUBECACHEDIR" {
					continue
				}
				lines = append(lines, line)
				if _, known := slices.BinarySearch(variables, name); value != "" && (known || strings.HasPrefix(name, own)) {
					if strings.HasSuffix(name, "SECRET") || strings.HasSuffix(name, "PASSWORD") {
						value = "set"
					}
					counted[name] = value
				}
			}
			return of(all, lines), all, counted
		}
		m1, all1, counted1 := read(args1, env1)
		m2, all2, counted2 := read(args2, env2)
		if m1 == nil || m2 == nil {
			t.Fatal("no memo")
		}
		same := slices.Equal(all1, all2) && len(counted1) == len(counted2)
		for name, value := range counted1 {
			same = same && counted2[name] == value
		}
		if err := put(m1, []byte("sixteen bytes....and more")); err != nil {
			t.Fatal(err)
		}
		if _, err := m2.box.Get(m2.folder, sealed.MemoSuffix); (err == nil) != same {
			t.Errorf("%q %q and %q %q: the same memo is %v", args1, env1, args2, env2, err == nil)
		}
	})
}
