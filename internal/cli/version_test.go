package cli

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestBuildVersion(t *testing.T) {
	commit := []debug.BuildSetting{{Key: "vcs.revision", Value: "0123abc"}, {Key: "vcs.modified", Value: "true"}}
	for name, c := range map[string]struct {
		linked, module string
		settings       []debug.BuildSetting
		want           string
	}{
		"release":                          {"v1.2.3", "v0.0.0-20260102030405-0123abc", commit, "akslogin v1.2.3\ncommit   0123abc (modified)\n"},
		"release without a commit":         {"v1.2.3", "(devel)", nil, "akslogin v1.2.3\n"},
		"go install from the module proxy": {"", "v1.2.3", nil, "akslogin v1.2.3\n"},
		"checkout":                         {"", "v1.2.4-0.20260102030405-0123abc", commit[:1], "akslogin v1.2.4-0.20260102030405-0123abc\ncommit   0123abc\n"},
		"checkout of a module without tag": {"", "(devel)", commit, "akslogin 0123abc\ncommit   0123abc (modified)\n"},
		"nothing is recorded":              {"", "(devel)", nil, "akslogin devel\n"},
		"no module":                        {"", "", nil, "akslogin devel\n"},
	} {
		b := newBuild(c.linked, &debug.BuildInfo{Main: debug.Module{Version: c.module}, Settings: c.settings})
		var text strings.Builder
		if err := b.writeText(&text); err != nil {
			t.Fatal(err)
		}
		want := c.want + "built by " + runtime.Version() + " for " + runtime.GOOS + "/" + runtime.GOARCH + "\n"
		if text.String() != want {
			t.Errorf("%s: %q, want %q", name, &text, want)
		}
	}
}
