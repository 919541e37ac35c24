package kubeconfig

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// kubeconfigGenerator generates kubeconfigs as people write them, in random styles.
type kubeconfigGenerator struct {
	*rand.Rand
	lines         []string
	inBlockScalar bool // whether the last line belongs to a block scalar
}

func (s *kubeconfigGenerator) pick(of ...string) string { return of[s.IntN(len(of))] }

func (s *kubeconfigGenerator) chance(percent int) bool { return s.IntN(100) < percent }

// line adds a line, sometimes with a comment before or after it.
func (s *kubeconfigGenerator) line(indent int, text string) {
	switch {
	case s.inBlockScalar:
		s.inBlockScalar = false // an indented comment would belong to the block scalar
	case s.chance(8):
		deep := spaces(s.IntN(14)) + "# comment: [a, 'b"
		s.lines = append(s.lines, s.pick("", "# comment", deep, spaces(indent)+"# - --x"))
	}
	if s.chance(8) && !strings.HasSuffix(text, "\\") {
		text += s.pick(" # trailing", "  #trailing: \"x", " ")
	}
	s.lines = append(s.lines, spaces(indent)+text)
}

// scalar adds prefix and a text in some style. deep is the indentation of the text's further lines.
func (s *kubeconfigGenerator) scalar(indent, deep int, prefix, text string) {
	switch s.IntN(9) {
	case 0:
		s.line(indent, prefix+" '"+strings.ReplaceAll(text, "'", "''")+"'")
	case 1:
		s.line(indent, prefix+" "+quote(text))
	case 2:
		sign := s.pick(" |-", " >-", " |- # why", " >")
		s.lines = append(s.lines, spaces(indent)+prefix+sign, spaces(deep)+text)
		if s.chance(30) {
			s.lines = append(s.lines, s.pick("", spaces(deep), spaces(max(indent-1, 0))+"# after"))
		}
		s.inBlockScalar = true
	case 3:
		if strings.HasSuffix(prefix, ":") {
			s.lines = append(s.lines, spaces(indent)+prefix)
			s.lines = append(s.lines, spaces(deep)+quote(text))
			return
		}
		fallthrough
	default:
		if strings.ContainsAny(text, ":#'\"{}[],&*!|>%@` \\") || text == "" {
			text = quote(text)
		}
		s.line(indent, prefix+" "+text)
	}
}

var someArgs = []string{
	"get-token", "--login", "devicecode", "--tenant-id", "t", "--client-id", "c", "--server-id=x",
	"a # b", "é: [", "--legacy", "don't", "", "5",
}

func (s *kubeconfigGenerator) args() (list []string) {
	for range s.IntN(7) {
		list = append(list, someArgs[s.IntN(len(someArgs))])
	}
	return list
}

func (s *kubeconfigGenerator) list(indent, listIndent, dash int, key string, items []string) {
	switch {
	case len(items) == 0:
		s.line(indent, key+s.pick("", " null", " []", " [ ]", " ~"))
	case s.chance(20):
		quoted := make([]string, len(items))
		for i, item := range items {
			quoted[i] = s.pick(quote(item), "'"+strings.ReplaceAll(item, "'", "''")+"'")
		}
		if s.chance(50) {
			open, joined := s.pick("", " "), strings.Join(quoted, s.pick(",", ", ", " , "))
			s.line(indent, key+" ["+open+joined+s.pick("]", " ]", ", ]"))
			return
		}
		s.line(indent, key+" [")
		for _, q := range quoted[:len(quoted)-1] {
			s.line(indent+2, q+",")
		}
		s.line(indent+2, quoted[len(quoted)-1]+s.pick("", ","))
		s.line(indent, "]")
	default:
		s.line(indent, key)
		for _, item := range items {
			s.scalar(indent+listIndent, indent+listIndent+dash, "-"+spaces(dash-2), item)
		}
	}
}

// shuffle calls most of the functions, in a random order.
func (s *kubeconfigGenerator) shuffle(parts ...func()) {
	s.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	for _, part := range parts {
		if s.chance(85) {
			part()
		}
	}
}

func (s *kubeconfigGenerator) exec(indent, step, listIndent, dash int) {
	at := indent + step
	key := func(name string) string { return s.pick(name+":", name+":", `"`+name+`":`, name+" :") }
	s.line(indent, "exec:")
	command := s.pick("kubelogin", "/usr/bin/kubelogin", `C:\kubelogin.exe`)
	s.scalar(at, at+step, key("command"), command)
	s.shuffle(
		func() { s.scalar(at, at+step, key("apiVersion"), "client.authentication.k8s.io/v1beta1") },
		func() { s.list(at, listIndent, dash, key("args"), s.args()) },
		func() { s.env(at, at+listIndent, step, dash) },
		func() {
			hint := s.pick("Install it.", "see: https://x", "no")
			s.scalar(at, at+step, key("installHint"), hint)
		},
		func() {
			margin := spaces(at)
			s.lines = append(s.lines,
				margin+"installedBy: |2", "", margin+"  text", margin+"   # not a comment", "")
		},
		func() { s.line(at, key("interactiveMode")+s.pick(" Never", "", " IfAvailable")) },
		func() { s.line(at, "provideClusterInfo: "+s.pick("true", "false")) },
		func() {
			s.line(at, "unknown:")
			s.line(at+step, "deep: {a: [b, \"c\"], d: }")
		},
	)
}

// env adds a list of variables whose dashes are indented by item.
func (s *kubeconfigGenerator) env(indent, item, step, dash int) {
	if s.chance(30) {
		s.line(indent, "env:"+s.pick(" null", " []", " [{name: A, value: x}]", " # none"))
		return
	}
	s.line(indent, "env:")
	for range 1 + s.IntN(3) {
		s.scalar(item, item+dash+step, "-"+spaces(dash-1)+"name:", s.pick("A", "B", "C"))
		if s.chance(80) {
			s.scalar(item+dash, item+dash+step, "value:", s.pick("1", "x y", "true"))
		}
	}
}

// kubeconfig returns a kubeconfig in YAML with the users first, this and last.
func (s *kubeconfigGenerator) kubeconfig() string {
	s.lines = nil
	step, listIndent, dash := 2+2*s.IntN(2), 2*s.IntN(2), 2
	if s.chance(20) {
		dash = 4
	}
	s.shuffle(func() { s.line(0, "kind: Config") }, func() { s.line(0, "contexts: []") })
	s.line(0, "users:")
	for _, name := range []string{"first", "this", "last"} {
		at := listIndent + dash
		s.line(listIndent, "-"+spaces(dash-1)+"name: "+name)
		if s.chance(5) {
			s.line(at, s.pick("user:", "user: {}", "user: null", "other: x"))
			continue
		}
		s.line(at, "user:")
		s.line(at+step, "as: somebody")
		s.shuffle(
			func() {
				if s.chance(10) {
					s.line(at+step, "exec:"+s.pick("", " null", " {}"))
					return
				}
				s.exec(at+step, step, listIndent, dash)
			},
			func() {
				if s.chance(30) {
					s.line(at+step, "auth-provider:")
					s.line(at+2*step, "name: azure")
					s.line(at+2*step, "config: {a: b}")
				}
			},
			func() { s.line(at+step, "token: x") },
		)
	}
	s.shuffle(func() { s.line(0, "current-context: a") }, func() { s.line(0, "preferences: {}") })
	return strings.Join(s.lines, s.pick("\n", "\r\n")) + s.pick("", "\n", "\n\n", "\n# end")
}

// json returns v as JSON with random white space.
func (s *kubeconfigGenerator) json(v any, space func() string) string {
	parts, open, end := []string{}, "[", "]"
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			parts = append(parts, s.json(item, space))
		}
	case map[string]any:
		open, end = "{", "}"
		for _, key := range slices.Sorted(maps.Keys(v)) {
			colon := s.pick("", " ", "\t") + ":" + space()
			parts = append(parts, quote(key)+colon+s.json(v[key], space))
		}
		s.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	default:
		b, _ := json.Marshal(v)
		return string(b)
	}
	return open + space() + strings.Join(parts, space()+","+space()) + space() + end
}

// jsonKubeconfig returns such a kubeconfig in JSON.
func (s *kubeconfigGenerator) jsonKubeconfig() string {
	var v any
	if err := yaml.Unmarshal([]byte(s.kubeconfig()), &v); err != nil {
		panic(err)
	}
	dense := s.IntN(100)
	return s.json(v, func() string {
		if s.chance(dense) {
			return ""
		}
		return s.pick(" ", "\n", "\t", "\n    ", "\r\n\t\t", "\r")
	})
}

func TestWithExecGeneratedFiles(t *testing.T) {
	refused := 0
	for seed := range uint64(1000) {
		s := &kubeconfigGenerator{Rand: rand.New(rand.NewPCG(seed, 1))}
		source := s.kubeconfig()
		if seed%3 == 0 {
			source = s.jsonKubeconfig()
		}
		k, err := Parse("config", []byte(source))
		if err != nil {
			t.Fatalf("%d: %v in\n%s", seed, err, source)
		}
		want := Exec{
			Command: s.pick("akslogin", `C:\akslogin.exe`, "true"),
			Args:    s.args(),
			Env:     []EnvVar{{s.pick("A", "B"), s.pick("1", "n:\n#")}},
		}
		if s.chance(50) {
			want.APIVersion, want.InstallHint, want.InteractiveMode = "v1", "Install: it", "Never"
			want.ProvideClusterInfo = new(bool)
		}
		got, err := k.WithExecs(map[string]Exec{"this": want})
		if err != nil {
			// An edit that removes the lines between a block scalar and a comment with the same
			// indentation would make the comment part of the scalar.
			if !strings.Contains(source, "installedBy: |") ||
				!strings.Contains(source, "# comment: [") {
				t.Fatalf("%d: %v for %s in\n%s", seed, err, indentJSON(want), source)
			}
			refused++
			continue
		}
		checkEdit(t, k, "this", want, got)
		for _, comment := range []string{
			"# comment", "# - --x", "# trailing", "#trailing", "# why", "# after", "# none",
			"# not a comment", "# end",
		} {
			before, after := strings.Count(source, comment), strings.Count(string(got), comment)
			if before != after && !strings.Contains(source, "auth-provider") {
				t.Errorf("%d of %d %q are left", after, before, comment)
			}
		}
		if t.Failed() {
			t.Fatalf("%d: %s in\n%s\nto\n%s", seed, indentJSON(want), source, got)
		}
	}
	if refused > 1 {
		t.Errorf("%d files could not be edited", refused)
	}
}
