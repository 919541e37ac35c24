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

// convertedUser is the exec config that a user is converted to.
type convertedUser struct {
	command   string
	args, env map[string]string
	fields    map[string]any // other required fields; nil: with any value
}

// convertOutcome is the result of a conversion.
type convertOutcome struct {
	failed    bool
	output    string
	converted map[string]convertedUser // by userKey
}

// usersIn returns the users in a kubeconfig by name.
func usersIn(t *testing.T, content []byte) map[string]map[string]any {
	var config struct {
		Users []struct {
			Name string
			User map[string]any
		}
	}
	if err := yaml.Unmarshal(content, &config); err != nil {
		t.Errorf("invalid YAML: %v\n%s", err, content)
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

// run writes files to a new folder, converts them with a program, and returns their new contents.
func (c *convertCase) run(
	t *testing.T, program string, files [][]byte, more ...string,
) (o convertOutcome, after [][]byte) {
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
		list := append(slices.Clone(paths), filepath.Join(dir, "none"))
		env = append(env, "KUBECONFIG="+strings.Join(list, ":"))
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

// differenceCounts applies differences, and counts by name how often each of them applied.
type differenceCounts struct {
	differences []convertDifference
	mutex       sync.Mutex
	counts      map[string]int
}

// apply calls a function for each difference. The function reports whether the difference applied.
func (c *differenceCounts) apply(applies func(d convertDifference) bool) {
	for _, d := range c.differences {
		if applies(d) {
			c.mutex.Lock()
			c.counts[d.name]++
			c.mutex.Unlock()
		}
	}
}

// wantOutcome returns the outcome of kubelogin's conversion, changed by the differences. kubelogin
// runs once for each --login flag that kubeloginInput has for some of the users.
func (c *convertCase) wantOutcome(
	t *testing.T, kubeloginBin string, differences *differenceCounts,
) convertOutcome {
	input, logins := c.kubeloginInput(differences)
	all := convertOutcome{converted: map[string]convertedUser{}}
	for _, login := range logins {
		o := c.runKubelogin(t, kubeloginBin, input, login)
		all.failed, all.output = all.failed || o.failed, all.output+o.output
		maps.Copy(all.converted, o.converted)
	}
	for i, users := range c.files {
		for _, u := range users {
			if converted, ok := all.converted[userKey(i, u.name)]; ok {
				differences.apply(func(d convertDifference) bool {
					return d.changeUser != nil && d.changeUser(c, u, &converted)
				})
				all.converted[userKey(i, u.name)] = converted
			}
		}
	}
	differences.apply(func(d convertDifference) bool {
		return d.changeOutcome != nil && d.changeOutcome(c, &all)
	})
	return all
}

// kubeloginInput returns the users for kubelogin to convert, changed by the differences, and the
// values of --login among them; "" is the case's own command line.
func (c *convertCase) kubeloginInput(
	differences *differenceCounts,
) (files [][]oldUser, logins []string) {
	for _, users := range c.files {
		var input []oldUser
		for _, u := range users {
			changed := u.clone()
			differences.apply(func(d convertDifference) bool {
				return d.changeInput != nil && d.changeInput(c, &changed)
			})
			input = append(input, changed)
			if changed.other == nil && !slices.Contains(logins, changed.login) {
				logins = append(logins, changed.login)
			}
		}
		files = append(files, input)
	}
	if logins == nil {
		logins = []string{""}
	}
	return files, logins
}

// userKey identifies a user by the index of its file and its name.
func userKey(file int, name string) string { return fmt.Sprintf("%d/%s", file, name) }

// runKubelogin converts the users with one value of --login by kubelogin. Each exec config has a
// variable that kubelogin removes in a conversion, which tells the users that are not converted.
func (c *convertCase) runKubelogin(
	t *testing.T, kubeloginBin string, input [][]oldUser, login string,
) convertOutcome {
	mark := map[string]string{"NOT_CONVERTED": "1"}
	var files [][]byte
	for _, users := range input {
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
	o, after := c.run(t, kubeloginBin, files, more...)
	o.converted = map[string]convertedUser{}
	if o.failed {
		return o
	}
	for i, content := range after {
		for _, u := range input[i] {
			converted := readExecUser(usersIn(t, content)[u.name])
			isConverted := converted.command != "" && converted.env["NOT_CONVERTED"] == ""
			if u.other == nil && u.login == login && isConverted {
				o.converted[userKey(i, u.name)] = converted
			}
		}
	}
	return o
}

// readExecUser reads an exec config. Repeated flags and variables, and arguments of other commands
// than get-token, get names that no flag has.
func readExecUser(user map[string]any) convertedUser {
	e, _ := user["exec"].(map[string]any)
	u := convertedUser{args: map[string]string{}, env: map[string]string{}}
	u.command, _ = e["command"].(string)
	list, _ := e["env"].([]any)
	for _, v := range list {
		v, _ := v.(map[string]any)
		name := fmt.Sprint(v["name"])
		if _, repeated := u.env[name]; repeated {
			name += " (again)"
		}
		u.env[name] = fmt.Sprint(v["value"])
	}
	var args []string
	list, _ = e["args"].([]any)
	for _, arg := range list {
		args = append(args, fmt.Sprint(arg))
	}
	if len(args) == 0 || args[0] != "get-token" {
		u.args["no get-token"] = strings.Join(args, " ")
		return u
	}
	for args = args[1:]; len(args) > 0; {
		var flag, value string
		flag, value, args = nextFlag(args)
		if _, repeated := u.args[flag]; repeated {
			flag += " (again)"
		}
		u.args[flag] = value
	}
	u.args = normalizeFlags(u.args)
	return u
}

// nextFlag splits arguments into the first flag, its value, and the rest.
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

// problems converts the files with a program, and returns what differs from the wanted outcome.
func (c *convertCase) problems(
	t *testing.T, want convertOutcome, program string,
) (problems []string) {
	before := c.contents()
	got, after := c.run(t, program, before)
	if got.failed != want.failed {
		return []string{fmt.Sprintf("failed is %v, want %v\n%skubelogin: %s",
			got.failed, want.failed, got.output, want.output)}
	}
	for i, users := range c.files {
		if got.failed && !bytes.Equal(before[i], after[i]) {
			problems = append(problems, "failed, and changed a file")
		}
		if got.failed {
			continue
		}
		oldUsers, newUsers := usersIn(t, before[i]), usersIn(t, after[i])
		for _, u := range users {
			key, oldUser, newUser := userKey(i, u.name), oldUsers[u.name], newUsers[u.name]
			if converted, ok := want.converted[key]; ok {
				problems = append(problems, converted.problems(key, newUser)...)
			} else if !reflect.DeepEqual(oldUser, newUser) {
				problems = append(problems,
					fmt.Sprintf("%s: is %v, want it unchanged: %v", key, newUser, oldUser))
			}
		}
	}
	return problems
}

func (u convertedUser) problems(key string, user map[string]any) (problems []string) {
	got := readExecUser(user)
	compare := func(what string, got, want any) {
		if !reflect.DeepEqual(got, want) {
			problems = append(problems,
				fmt.Sprintf("%s: %s\n got %v\nwant %v", key, what, got, want))
		}
	}
	compare("auth-provider", user["auth-provider"], nil)
	compare("command", got.command, u.command)
	compare("args", got.args, u.args)
	compare("env", got.env, u.env)
	e, _ := user["exec"].(map[string]any)
	for field, want := range u.fields {
		got, ok := e[field]
		if !ok {
			problems = append(problems, fmt.Sprintf("%s: no %s", key, field))
		} else if want != nil {
			compare(field, got, want)
		}
	}
	return problems
}

// kubeloginPath returns the path of kubelogin.
func kubeloginPath(t *testing.T) string {
	t.Helper()
	program, err := kubelogin.Program()
	if err != nil {
		skipUnlessRequired(t, err.Error())
	}
	return program
}

// compareConversions compares so many conversions of both programs, four in parallel.
func compareConversions(
	t *testing.T, kubeloginBin, program string, number int, differences *differenceCounts,
) {
	var (
		group    sync.WaitGroup
		mutex    sync.Mutex
		next     = make(chan int)
		failures = map[int]string{}
	)
	for range 4 {
		group.Go(func() {
			for i := range next {
				failure := newConvertCase(i).compare(t, kubeloginBin, program, differences)
				if failure != "" {
					mutex.Lock()
					failures[i] = failure
					mutex.Unlock()
				}
			}
		})
	}
	for i := range number {
		next <- i
	}
	close(next)
	group.Wait()
	numbers := slices.Sorted(maps.Keys(failures))
	for _, i := range numbers[:min(len(failures), 10)] {
		t.Errorf("conversion %d: %s", i, failures[i])
	}
	if len(failures) > 0 {
		t.Errorf("%d of %d conversions differ: %v", len(failures), number, numbers)
	}
}

// compare returns a description of what differs in a conversion, "" if nothing does.
func (c *convertCase) compare(
	t *testing.T, kubeloginBin, program string, differences *differenceCounts,
) string {
	// A case of two files has a shadowed user, whose two entries kubelogin mixes.
	if len(differences.differences) == 0 && len(c.files) > 1 {
		return ""
	}
	problems := c.problems(t, c.wantOutcome(t, kubeloginBin, differences), program)
	if problems == nil {
		return ""
	}
	return fmt.Sprintf("%s\nAAD_LOGIN_METHOD=%s %q\n%s", strings.Join(problems, "\n"),
		c.loginVariable, c.args, bytes.Join(c.contents(), []byte("---\n")))
}

// TestConvertMatchesKubelogin checks that conversions have the same outcome as kubelogin's, except
// for the intended differences. Each of those must occur. kubelogin compared with itself, without
// differences, checks the comparison.
func TestConvertMatchesKubelogin(t *testing.T) {
	skipIfShort(t, "kubelogin takes long to build and to compare with")
	kubeloginBin, aksloginBin := kubeloginPath(t), programPath(t)
	t.Run("kubelogin", func(t *testing.T) {
		compareConversions(t, kubeloginBin, kubeloginBin, 60, &differenceCounts{})
	})
	t.Run("akslogin", func(t *testing.T) {
		differences := &differenceCounts{
			differences: convertDifferences, counts: map[string]int{},
		}
		compareConversions(t, kubeloginBin, aksloginBin, 400, differences)
		for _, d := range convertDifferences {
			if differences.counts[d.name] == 0 {
				t.Errorf("no conversion has this difference: %s (%s)", d.name, d.reason)
			}
		}
	})
}
