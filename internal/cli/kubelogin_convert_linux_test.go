package cli

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/akslogin/akslogin/internal/kubelogin"
	"go.yaml.in/yaml/v3"
)

// convertedUser is what became of a user.
type convertedUser struct {
	command   string
	args, env map[string]string
	kept      map[string]any // further fields that must be there; nil: with any value
}

// convertOutcome is how a program ended, and what users it converted, by file and name.
type convertOutcome struct {
	failed    bool
	output    string
	converted map[string]convertedUser
}

// usersIn reads the users of a kubeconfig.
func usersIn(t *testing.T, content []byte) map[string]map[string]any {
	var config struct {
		Users []struct {
			Name string
			User map[string]any
		}
	}
	if err := yaml.Unmarshal(content, &config); err != nil {
		t.Errorf("no YAML: %v\n%s", err, content)
	}
	users := map[string]map[string]any{}
	for _, u := range config.Users {
		if e, ok := u.User["exec"].(map[string]any); ok && e["env"] == nil {
			delete(e, "env")
		}
		users[u.Name] = u.User
	}
	return users
}

// run converts files in a folder of their own, and returns what they are then.
func (c *convertCase) run(t *testing.T, program string, files [][]byte, more ...string) (o convertOutcome, after [][]byte) {
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	env := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	if c.loginVariable != "" {
		env = append(env, "AAD_LOGIN_METHOD="+c.loginVariable)
	}
	paths := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}[:len(files)]
	args := slices.Concat(c.args, more)
	switch c.source {
	case "flag":
		args = append(args, "--kubeconfig="+paths[0])
	case "variable":
		env = append(env, "KUBECONFIG="+strings.Join(append(slices.Clone(paths), filepath.Join(dir, "none")), ":"))
	case "home":
		paths[0] = filepath.Join(home, ".kube", "config")
	}
	if err := os.MkdirAll(filepath.Join(home, ".kube"), 0o700); err != nil {
		t.Error(err)
	}
	for i, content := range files {
		if err := os.WriteFile(paths[i], content, 0o600); err != nil {
			t.Error(err)
		}
	}
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir = env, dir
	out, err := cmd.CombinedOutput()
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		after = append(after, content)
	}
	return convertOutcome{failed: err != nil, output: string(out)}, after
}

// differenceCounts applies differences, and counts by name how often each changed something.
type differenceCounts struct {
	differences []convertDifference
	mutex       sync.Mutex
	seen        map[string]int
}

func (t *differenceCounts) apply(changes func(d convertDifference) bool) {
	for _, d := range t.differences {
		if changes(d) {
			t.mutex.Lock()
			t.seen[d.name]++
			t.mutex.Unlock()
		}
	}
}

// wantOutcome is what kubelogin says to a conversion, changed by the differences. It is asked once
// for each --login that they type for some of the users.
func (c *convertCase) wantOutcome(t *testing.T, kubelogin string, differences *differenceCounts) convertOutcome {
	questions, logins := c.kubeloginInput(differences)
	all := convertOutcome{converted: map[string]convertedUser{}}
	for _, login := range logins {
		o := c.runKubelogin(t, kubelogin, questions, login)
		all.failed, all.output = all.failed || o.failed, all.output+o.output
		maps.Copy(all.converted, o.converted)
	}
	for i, users := range c.files {
		for _, u := range users {
			if s, converted := all.converted[userKey(i, u.name)]; converted {
				differences.apply(func(d convertDifference) bool { return d.changeUser != nil && d.changeUser(c, u, &s) })
				all.converted[userKey(i, u.name)] = s
			}
		}
	}
	differences.apply(func(d convertDifference) bool { return d.changeOutcome != nil && d.changeOutcome(c, &all) })
	return all
}

// kubeloginInput are the users that kubelogin is asked to convert, and what is typed as --login for
// them; "": what the case has.
func (c *convertCase) kubeloginInput(differences *differenceCounts) (files [][]oldUser, logins []string) {
	for _, users := range c.files {
		var questions []oldUser
		for _, u := range users {
			q := u.clone()
			differences.apply(func(d convertDifference) bool { return d.changeInput != nil && d.changeInput(c, &q) })
			questions = append(questions, q)
			if q.other == nil && !slices.Contains(logins, q.login) {
				logins = append(logins, q.login)
			}
		}
		files = append(files, questions)
	}
	if logins == nil {
		logins = []string{""}
	}
	return files, logins
}

func userKey(file int, name string) string { return fmt.Sprintf("%d/%s", file, name) }

// runKubelogin asks kubelogin about the users that one --login is typed for. A
// variable in each stanza tells those that are not converted: kubelogin takes it away.
func (c *convertCase) runKubelogin(t *testing.T, kubelogin string, questions [][]oldUser, login string) convertOutcome {
	mark := map[string]string{"NOT_CONVERTED": "1"}
	var files [][]byte
	for _, users := range questions {
		users = slices.Clone(users)
		for i := range users {
			if users[i].login != login {
				users[i] = oldUser{name: users[i].name, other: map[string]any{"token": "x"}}
			}
		}
		files = append(files, kubeconfigOf(users, mark))
	}
	var more []string
	if login != "" {
		more = []string{"--login=" + login}
	}
	o, after := c.run(t, kubelogin, files, more...)
	o.converted = map[string]convertedUser{}
	for i, content := range after {
		for _, u := range questions[i] {
			s := readExecUser(usersIn(t, content)[u.name])
			if u.other == nil && u.login == login && s.command != "" && s.env["NOT_CONVERTED"] == "" && !o.failed {
				o.converted[userKey(i, u.name)] = s
			}
		}
	}
	return o
}

// readExecUser reads an exec stanza. Arguments that are not get-token's are under names that no
// flag has.
func readExecUser(user map[string]any) convertedUser {
	e, _ := user["exec"].(map[string]any)
	s := convertedUser{args: map[string]string{}, env: map[string]string{}}
	s.command, _ = e["command"].(string)
	list, _ := e["env"].([]any)
	for _, v := range list {
		v, _ := v.(map[string]any)
		name := fmt.Sprint(v["name"])
		if _, twice := s.env[name]; twice {
			name += " (again)"
		}
		s.env[name] = fmt.Sprint(v["value"])
	}
	var args []string
	list, _ = e["args"].([]any)
	for _, arg := range list {
		args = append(args, fmt.Sprint(arg))
	}
	if len(args) == 0 || args[0] != "get-token" {
		s.args["no get-token"] = strings.Join(args, " ")
		return s
	}
	for args = args[1:]; len(args) > 0; {
		var flag, value string
		flag, value, args = nextFlag(args)
		if _, twice := s.args[flag]; twice {
			flag += " (again)"
		}
		s.args[flag] = value
	}
	s.args = canonical(s.args)
	return s
}

// nextFlag takes the flag at the beginning of arguments.
func nextFlag(args []string) (flag, value string, rest []string) {
	flag, value, attached := strings.Cut(strings.TrimPrefix(args[0], "--"), "=")
	if long := longFlags[args[0][:min(2, len(args[0]))]]; long != "" {
		flag, value, attached = long, strings.TrimPrefix(args[0][2:], "="), len(args[0]) > 2
	}
	if args = args[1:]; !attached && slices.Contains(boolFlags, flag) {
		value = "true"
	} else if !attached && len(args) > 0 {
		value, args = args[0], args[1:]
	}
	return flag, value, args
}

// differences are between what was wanted and what a program did.
func (c *convertCase) differences(t *testing.T, want convertOutcome, program string) (found []string) {
	before := c.contents()
	got, after := c.run(t, program, before)
	if got.failed != want.failed {
		return []string{fmt.Sprintf("failed is %v, want %v\n%skubelogin: %s", got.failed, want.failed, got.output, want.output)}
	}
	for i, users := range c.files {
		if got.failed && !bytes.Equal(before[i], after[i]) {
			found = append(found, "failed, and changed a file")
		}
		if got.failed {
			continue
		}
		was, is := usersIn(t, before[i]), usersIn(t, after[i])
		for _, u := range users {
			stanza, converted := want.converted[userKey(i, u.name)]
			if converted {
				found = append(found, stanza.differences(userKey(i, u.name), is[u.name])...)
			} else if !reflect.DeepEqual(was[u.name], is[u.name]) {
				found = append(found, fmt.Sprintf("%s: is %v, want it untouched: %v", userKey(i, u.name), is[u.name], was[u.name]))
			}
		}
	}
	return found
}

func (s convertedUser) differences(where string, user map[string]any) (found []string) {
	got := readExecUser(user)
	note := func(what string, got, want any) {
		if !reflect.DeepEqual(got, want) {
			found = append(found, fmt.Sprintf("%s: %s\n got %v\nwant %v", where, what, got, want))
		}
	}
	note("auth-provider", user["auth-provider"], nil)
	note("command", got.command, s.command)
	note("args", got.args, s.args)
	note("env", got.env, s.env)
	e, _ := user["exec"].(map[string]any)
	for field, value := range s.kept {
		if _, there := e[field]; !there || value != nil && e[field] != value {
			note(field, e[field], value)
		}
	}
	return found
}

// kubeloginPath is the incumbent.
func kubeloginPath(t *testing.T) string {
	t.Helper()
	skipIfShort(t, "kubelogin is built, and both programs convert thousands of users")
	program, err := kubelogin.Program()
	if err != nil {
		skipUnlessRequired(t, err.Error())
	}
	return program
}

// compareConversions runs conversions with both programs, four at a time, and says what differs.
func compareConversions(t *testing.T, kubelogin, program string, number int, differences *differenceCounts) {
	var (
		working sync.WaitGroup
		mutex   sync.Mutex
		next    = make(chan int)
		found   = map[int]string{}
	)
	for range 4 {
		working.Go(func() {
			for i := range next {
				if text := newConvertCase(i).compare(t, kubelogin, program, differences); text != "" {
					mutex.Lock()
					found[i] = text
					mutex.Unlock()
				}
			}
		})
	}
	for i := range number {
		next <- i
	}
	close(next)
	working.Wait()
	numbers := slices.Sorted(maps.Keys(found))
	for _, i := range numbers[:min(len(found), 10)] {
		t.Errorf("conversion %d: %s", i, found[i])
	}
	if len(found) > 0 {
		t.Errorf("%d of %d conversions differ: %v", len(found), number, numbers)
	}
}

// compare says what differs, and in which conversion; "": nothing.
func (c *convertCase) compare(t *testing.T, kubelogin, program string, differences *differenceCounts) string {
	if len(differences.differences) == 0 && len(c.files) > 1 { // has a shadowed user, whose two entries kubelogin mixes
		return ""
	}
	found := c.differences(t, c.wantOutcome(t, kubelogin, differences), program)
	if found == nil {
		return ""
	}
	return fmt.Sprintf("%s\nAAD_LOGIN_METHOD=%s %q\n%s", strings.Join(found, "\n"), c.loginVariable, c.args, bytes.Join(c.contents(), []byte("---\n")))
}

// Conversions end as kubelogin's do, but for the differences that are wanted. Kubelogin itself has
// none.
func TestConvertMatchesKubelogin(t *testing.T) {
	kubelogin := kubeloginPath(t)
	akslogin := programPath(t)
	t.Run("kubelogin", func(t *testing.T) { compareConversions(t, kubelogin, kubelogin, 60, &differenceCounts{}) })
	t.Run("akslogin", func(t *testing.T) {
		differences := &differenceCounts{differences: convertDifferences, seen: map[string]int{}}
		compareConversions(t, kubelogin, akslogin, 400, differences)
		for _, d := range convertDifferences {
			if differences.seen[d.name] == 0 {
				t.Errorf("no conversion meets this difference: %s (%s)", d.name, d.reason)
			}
		}
	})
}
