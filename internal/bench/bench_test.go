package main

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// straceOutput is shortened output of a cold run. It has interrupted calls, a reused descriptor and
// an absent file.
const straceOutput = `100 execve("/bin/akslogin", ["/bin/akslogin"], 0x7ffc /* 4 vars */) = 0
100 openat(AT_FDCWD, "/sys/fs/cgroup/cpu.max", O_RDONLY|O_CLOEXEC) = 3
100 read(3, ""..., 64) = 11
100 close(3)                          = 0
100 openat(AT_FDCWD, "/home/u/.config/user-dirs.dirs", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)
100 openat(AT_FDCWD, "/etc/ssl/certs/a.pem", O_RDONLY|O_CLOEXEC <unfinished ...>
101 futex(0x1, FUTEX_WAKE_PRIVATE, 1) = 1
100 <... openat resumed>)             = 3
100 read(3,  <unfinished ...>
101 connect(5, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 EINPROGRESS (Operation now in progress)
100 <... read resumed>""..., 1000)    = 1000
100 read(3, ""..., 1000)              = 0
100 openat(AT_FDCWD, "/etc/ssl/certs/b.pem", O_RDONLY|O_CLOEXEC) = 4
100 pread64(4, ""..., 1000, 0)        = 500
101 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 4
101 read(4, ""..., 1000)              = 700
101 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL, si_pid=100, si_uid=0} ---
101 rt_sigreturn({mask=[]} <unfinished ...>
101 <... rt_sigreturn resumed>)         = 17304698803559092994
101 exit_group(0)                     = ?
100 +++ exited with 0 +++
`

func TestParseTrace(t *testing.T) {
	got, err := parseTrace(strings.NewReader(straceOutput))
	if err != nil {
		t.Fatal(err)
	}
	want := trace{
		calls: map[string]int{
			"execve": 1, "openat": 4, "read": 4, "close": 1, "futex": 1, "connect": 1,
			"pread64": 1, "socket": 1, "rt_sigreturn": 1, "exit_group": 1,
		},
		opened: []openedFile{
			{path: "/sys/fs/cgroup/cpu.max", read: 11},
			{path: "/home/u/.config/user-dirs.dirs", absent: true},
			{path: "/etc/ssl/certs/a.pem", read: 1000},
			{path: "/etc/ssl/certs/b.pem", read: 500},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	if n := got.number(); n != 14 { // without futex and rt_sigreturn
		t.Errorf("%d calls, want 14", n)
	}
	if n := got.bytes(); n != 1511 {
		t.Errorf("%d bytes, want 1511", n)
	}
	if n := got.rootFiles("/etc/absent.pem"); n != 2 {
		t.Errorf("%d files with root certificates, want 2", n)
	}
	beyond := got.beyond(trace{calls: map[string]int{"read": 3, "openat": 9}})
	wantBeyond := map[string]int{
		"read": 1, "execve": 1, "close": 1, "connect": 1, "pread64": 1, "socket": 1, "exit_group": 1,
	}
	if !maps.Equal(beyond, wantBeyond) {
		t.Errorf("beyond: %v, want %v", beyond, wantBeyond)
	}
	rest := unexplained(beyond, map[string]string{"read": "a file", "close": "a file", "socket": ""})
	if sum(rest) != sum(beyond)-2 || beyond["read"] != 1 {
		t.Errorf("unexplained: %v of %v", rest, beyond)
	}
	if lines, unexplained := got.files(whyOpened); unexplained != 3 || len(lines) != 4 {
		t.Errorf("%d files are unexplained, want 3: %q", unexplained, lines)
	}
}

func TestSpread(t *testing.T) {
	values := make([]float64, 101)
	for i := range values {
		values[i] = float64(100 - i)
	}
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{values, spread{Median: 50, Least: 0, P25: 25, P75: 75, From: 40, To: 61}},
		{[]float64{2, 1}, spread{Median: 1.5, Least: 1, P25: 1.25, P75: 1.75, From: 1, To: 2}},
	} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
}

func TestSlowRoundCountsNoMoreThanOthers(t *testing.T) {
	a, b := &contestant{}, &contestant{}
	for _, n := range []time.Duration{1, 2, 3} {
		a.wall, b.wall = append(a.wall, 6*n*time.Second), append(b.wall, 2*n*time.Second)
	}
	got := timeRatio.value([]*contestant{a, b})
	if got.Spread.P25 != 3 || got.Value != 3 || got.Spread.P75 != 3 || got.Fastest != 3 {
		t.Errorf("%+v", got)
	}
}

func TestMinimumIsValue(t *testing.T) {
	c := &contestant{program: "akslogin"}
	c.pageFaults = []float64{3, 1, 2}
	r := &report{}
	r.add(measurement{"faults", pageFaults, []*contestant{c}, counted()})
	if row := r.Rows[0]; row.Value != 1 || row.Spread.Median != 2 || row.Bound != "counted" {
		t.Errorf("%+v", row)
	}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		bound    *bound
		n        float64
		met, far bool
		text     string
	}{
		{atMost(3, 6), 3, true, false, "at most 3"},
		{atMost(3, 6), 5, false, false, "at most 3"},
		{atMost(3, 6), 7, false, true, "at most 3"},
		{atLeast(6, 2), 6, true, false, "at least 6"},
		{atLeast(6, 2), 3, false, false, "at least 6"},
		{atLeast(6, 2), 1, false, true, "at least 6"},
		{exactly(1), 1, true, false, "1"},
		{exactly(1), 2, false, true, "1"},
		{exactly(1), 0, false, true, "1"},
		{atMost(3, 6), math.NaN(), false, true, "at most 3"},
	} {
		if c.bound.met(c.n) != c.met || c.bound.far(c.n) != c.far || c.bound.String() != c.text {
			t.Errorf("%v: %s, met is %v, far is %v", c.n, c.bound, c.bound.met(c.n), c.bound.far(c.n))
		}
	}
}

func TestRatioIsFarOnlyIfFastestRunsAreToo(t *testing.T) {
	r := &report{Rows: []row{
		{What: "a", value: value{Value: 7}, bound: atMost(3, 6)},
		{What: "b", value: value{Value: 7, Fastest: 4}, bound: atMost(3, 6)},
		{What: "c", value: value{Value: 7, Fastest: 8}, bound: atMost(3, 6)},
	}}
	far := r.farBeyondBound()
	if len(far) != 2 || !strings.HasPrefix(far[0], "a: 7") || !strings.HasPrefix(far[1], "c: 7") {
		t.Errorf("%q", far)
	}
}

func TestRowsNeedTheirPrograms(t *testing.T) {
	names := func(p programs) (names []string) {
		for _, m := range measurements(newContestants(p)) {
			names = append(names, m.name)
		}
		return names
	}
	all := names(programs{akslogin: "a", before: "b", kubelogin: "k", empty: "e"})
	if sorted := slices.Sorted(slices.Values(all)); len(slices.Compact(sorted)) != len(all) {
		t.Errorf("two rows have one name: %q", all)
	}
	for _, name := range names(programs{akslogin: "a", empty: "e"}) {
		if strings.Contains(name, "kubelogin") || strings.Contains(name, "before") {
			t.Errorf("%s: measured without the program", name)
		}
	}
}

func TestBeforeIsMeasuredBeside(t *testing.T) {
	c := newContestants(programs{akslogin: "a", before: "b", empty: "e"})
	c.warm.wall, c.empty.wall = []time.Duration{6}, []time.Duration{2}
	c.warm.before.wall = []time.Duration{8}
	r := &report{}
	for _, m := range measurements(c) {
		if slices.Contains([]string{"warm / empty Go program", "warm / warm before"}, m.name) {
			r.add(m)
		}
	}
	if row := r.Rows[0]; row.Value != 3 || row.Before == nil || row.Before.Value != 4 {
		t.Errorf("%+v", row)
	}
	if row := r.Rows[1]; row.Value != 0.75 || row.Before != nil {
		t.Errorf("%+v", row)
	}
	rows := measurements(c)
	want := []*contestant{c.empty, c.warm, c.warm.before}
	if got := memoryRuns.contestants(c.runnable(), rows); !slices.Equal(got, want) {
		t.Errorf("memory is measured of %d contestants, want %d", len(got), len(want))
	}
}

func TestReportIsWrittenAsJSONAndPicture(t *testing.T) {
	dir := t.TempDir()
	r := &report{Machine: "one <CPU> & more", Timings: []timing{
		{Name: "empty Go program", Wall: spread{Median: 1, P25: 1, P75: 2}},
		{Name: "akslogin, warm", Wall: spread{Median: 2, P25: 1, P75: 3}},
		{Name: "kubelogin, cold", Wall: spread{Median: 90, P25: 80, P75: 100}, Requests: 3},
	}}
	c := &contestant{}
	c.peakMemory = []float64{1}
	r.add(measurement{"a", peakMemory, []*contestant{c}, atMost(2, 3)})
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	var read report
	if err := json.Unmarshal(raw, &read); err != nil || len(read.Rows) != 1 {
		t.Fatalf("%v: %s", err, raw)
	}
	row := read.Rows[0]
	if row.Met == nil || !*row.Met || row.Bound != "at most 2" || row.Value != 1 {
		t.Errorf("row: %s", raw)
	}
	if !reflect.DeepEqual(read.Timings, r.Timings) {
		t.Errorf("timings: %s", raw)
	}
	picture, err := os.Open(filepath.Join(dir, "bench.svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer picture.Close()
	var text strings.Builder
	bars := map[string]int{}
	for decoder := xml.NewDecoder(picture); ; {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch part := token.(type) {
		case xml.CharData:
			text.Write(part)
		case xml.StartElement:
			if part.Name.Local == "rect" {
				bars[part.Attr[0].Value]++
			}
		}
	}
	for _, want := range []string{"one <CPU> & more", "akslogin, warm", "90.0, 3 requests"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the picture does not contain %q", want)
		}
	}
	if !maps.Equal(bars, map[string]int{"empty": 1, "ours": 1, "theirs": 1}) {
		t.Errorf("bars: %v", bars)
	}
}
