package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/internal/incumbent"
)

// wantedDifference is a way in which a conversion ends otherwise than kubelogin's. Its functions tell whether they changed something.
type wantedDifference struct {
	name, reason string
	asked        func(c *convertCase, u *oldUser) bool                  // changes what kubelogin is asked to convert
	want         func(c *convertCase, u oldUser, s *convertedUser) bool // changes what it made of a user, given what that was at first
	exit         func(c *convertCase, o *outcome) bool                  // changes how it ended
}

// wantedDifferences are all of them, in the order in which they are applied.
var wantedDifferences = []wantedDifference{
	{name: "a shadowed user", reason: "what clients read is the first file's; kubelogin mixes both users, and writes the mixture where nobody reads it",
		asked: func(c *convertCase, u *oldUser) bool {
			if u.shadowed {
				*u = oldUser{name: "another", other: map[string]any{"token": "x"}}
			}
			return u.name == "another"
		}},
	{name: "another program's arguments", reason: "other programs are called kubelogin too, and their users would lose their logins",
		asked: func(c *convertCase, u *oldUser) bool {
			if u.exec == nil || u.exec.old != nil {
				return false
			}
			u.exec, u.other = nil, map[string]any{"token": "x"}
			return true
		}},
	{name: "spellings of old arguments", reason: "kubelogin reads --flag value only, and forgets --flag=value and -f value",
		asked: func(c *convertCase, u *oldUser) bool {
			if u.exec == nil {
				return false
			}
			before := u.exec.args
			u.exec.change(nil)
			return slices.ContainsFunc(u.exec.args, func(arg string) bool { return strings.HasPrefix(arg, "--") && !slices.Contains(before, arg) })
		}},
	{name: "no login method is given", reason: "a person who changes a flag does not ask for devicecode",
		asked: func(c *convertCase, u *oldUser) bool {
			if u.exec == nil || c.typed["login"] != "" || c.loginVariable != "" && c.typed["disable-environment-override"] == "" {
				return false
			}
			u.login = u.exec.old["login"]
			return u.login != "devicecode"
		}},
	{name: "typed --legacy=false", reason: "what is typed wins",
		asked: func(c *convertCase, u *oldUser) bool {
			if c.typed["legacy"] != "false" || !u.legacy() {
				return false
			}
			if u.provider != nil {
				u.provider["config-mode"] = "1"
			} else {
				u.exec.change(map[string]string{"legacy": "false"})
			}
			return true
		}},
	{name: "no server ID", reason: "AKS has the same one everywhere",
		asked: func(c *convertCase, u *oldUser) bool {
			switch {
			case c.typed["server-id"] != "":
				return false
			case u.provider != nil && u.provider["apiserver-id"] == "":
				u.provider["apiserver-id"] = entratest.AKSServerID
			case u.exec != nil && u.exec.old["server-id"] == "":
				u.exec.change(map[string]string{"server-id": entratest.AKSServerID})
			default:
				return false
			}
			return true
		}},
	{name: "the same method", reason: "converting again must not take flags away",
		want: func(c *convertCase, u oldUser, s *convertedUser) bool {
			if u.exec == nil || u.exec.old["login"] != s.args["login"] {
				return false
			}
			before, typed := maps.Clone(s.args), canonicalNames(c.typed)
			for flag, value := range canonical(u.exec.old) {
				if _, written := s.args[flag]; written {
					continue
				}
				if again, overlaid := typed[flag]; overlaid && slices.Contains(methodFlags[s.args["login"]], flag) {
					value = again
				}
				s.args[flag] = value
			}
			s.args = canonical(s.args)
			return !maps.Equal(before, s.args)
		}},
	{name: "both names of an identity", reason: "the other one would contradict what is typed, or is not read",
		want: func(c *convertCase, u oldUser, s *convertedUser) bool {
			if s.args["login"] != "msi" || s.args["client-id"] == "" || s.args["identity-resource-id"] == "" {
				return false
			}
			if c.typed["identity-resource-id"] != "" && c.typed["client-id"] == "" {
				delete(s.args, "client-id")
			} else {
				delete(s.args, "identity-resource-id")
			}
			return true
		}},
	{name: "typed flags that kubelogin drops", reason: "get-token reads them",
		want: func(c *convertCase, u oldUser, s *convertedUser) bool {
			changed := false
			for flag, methods := range droppedFlags {
				if value := canonical(c.typed)[flag]; value != "" && s.args[flag] != value && (methods == nil || slices.Contains(methods, s.args["login"])) {
					s.args[flag], changed = value, true
				}
			}
			return changed
		}},
	{name: "the rest of an old stanza", reason: "somebody wrote it for a reason",
		want: func(c *convertCase, u oldUser, s *convertedUser) bool {
			s.kept = map[string]any{"interactiveMode": nil, "provideClusterInfo": nil, "installHint": nil}
			if u.exec == nil {
				return true
			}
			added := s.env
			s.env = maps.Clone(u.exec.env)
			maps.Copy(s.env, added)
			maps.Copy(s.kept, u.exec.others)
			return true
		}},
	{name: "the command", reason: "it is this program",
		want: func(c *convertCase, u oldUser, s *convertedUser) bool { s.command = "akslogin"; return true }},
	{name: "nothing matched", reason: "a person who converts nothing has made a mistake",
		exit: func(c *convertCase, o *outcome) bool {
			changed := !o.failed && len(o.converted) == 0
			o.failed = o.failed || changed
			return changed
		}},
}

// droppedFlags are those that kubelogin's convert-kubeconfig takes and forgets, and the methods that read them; nil: all do.
var droppedFlags = map[string][]string{
	"environment": {"workloadidentity", "azurepipelines"}, "client-id": {"azurepipelines"},
	"authority-host": {"devicecode", "interactive", "spn", "ropc", "azurepipelines"}, "disable-instance-discovery": {"devicecode", "interactive", "spn", "ropc", "workloadidentity", "azurepipelines"},
	"pop-enabled": {"workloadidentity", "azurepipelines"}, "pop-claims": {"workloadidentity", "azurepipelines"},
	"timeout": nil, "use-azurerm-env-vars": nil, "disable-environment-override": nil,
}

// methodFlags are what conversions to and from a method are made with.
var methodFlags = map[string][]string{
	"devicecode":       {"client-id", "tenant-id", "environment", "legacy", "cache-dir"},
	"interactive":      {"client-id", "tenant-id", "environment", "pop", "redirect-url", "login-hint", "cache-dir"},
	"spn":              {"client-id", "tenant-id", "environment", "client-secret", "client-certificate", "client-certificate-password", "legacy", "pop", "disable-environment-override"},
	"ropc":             {"client-id", "tenant-id", "environment", "username", "password", "legacy", "pop", "token-cache-dir"},
	"msi":              {"client-id", "identity-resource-id"},
	"azurecli":         {"tenant-id", "subscription", "cache-dir"},
	"azd":              {"tenant-id"},
	"workloadidentity": {"client-id", "tenant-id", "authority-host", "federated-token-file"},
	"azurepipelines":   {"client-id", "tenant-id", "azure-pipelines-service-connection-id"},
}

var (
	allMethods = slices.Sorted(maps.Keys(methodFlags))
	boolFlags  = []string{"legacy", "pop-enabled", "use-azurerm-env-vars", "disable-environment-override", "disable-instance-discovery"}
	shortFlags = map[string]string{"login": "-l", "tenant-id": "-t", "environment": "-e", "subscription": "-s"}
	longFlags  = map[string]string{"-l": "login", "-t": "tenant-id", "-e": "environment", "-s": "subscription"}
	flagValues = map[string][]string{
		"client-id":   {"80faf920-1908-4b52-b5ef-a8e7bedfc67a", client, otherClient},
		"tenant-id":   {tenant, otherTenant},
		"server-id":   {entratest.AKSServerID, otherServerID},
		"environment": {"AzurePublicCloud", "AzureUSGovernmentCloud", "AzureChinaCloud"},
		"timeout":     {"45s", "90s", "2m0s"}, "cache-dir": {"/var/cache/a", "/var/cache/b c"}, "token-cache-dir": {"/var/cache/c"},
		"client-secret": {"s3cret", "-begins with a dash", "a=b"}, "client-certificate": {"/etc/cert.pem"}, "client-certificate-password": {"pass word"},
		"username": {"jane@contoso.example"}, "password": {"p", "--p"}, "login-hint": {"jane@contoso.example"}, "redirect-url": {"http://localhost:8400"},
		"identity-resource-id": {"/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"},
		"subscription":         {"My subscription", "44444444-dddd-4444-8888-000000000001"},
		"authority-host":       {"https://login.microsoftonline.com/", "https://login.microsoftonline.us/"},
		"federated-token-file": {"/var/run/token"}, "azure-pipelines-service-connection-id": {"55555555-eeee-4444-8888-000000000001"},
		"pop-claims": {"u=/subscriptions/s", "u=/subscriptions/s,a=b"},
	}
)

// convertCase is one command line and the kubeconfig files that it works on.
type convertCase struct {
	files         [][]oldUser
	place         string            // how the files are named: flag, variable, home
	typed         map[string]string // flags of get-token
	args          []string          // the command line: these flags as they are spelled, and others
	loginVariable string            // AAD_LOGIN_METHOD
}

// oldUser is a user before it is converted; one of provider, exec and other is not nil.
type oldUser struct {
	name     string
	provider map[string]string
	exec     *oldExec
	other    map[string]any
	login    string // is typed for this user alone
	shadowed bool   // an earlier file has a user of the same name
}

type oldExec struct {
	command string
	old     map[string]string // what args mean; nil: they are another program's
	args    []string
	env     map[string]string
	others  map[string]any
}

// convertedUser is what became of a user.
type convertedUser struct {
	command   string
	args, env map[string]string
	kept      map[string]any // further fields that must be there; nil: with any value
}

// outcome is how a program ended, and what users it converted, by file and name.
type outcome struct {
	failed    bool
	words     string
	converted map[string]convertedUser
}

// change gives flags other values and writes all as kubelogin reads them.
func (e *oldExec) change(flags map[string]string) {
	if e.old == nil {
		return
	}
	e.old, e.args = maps.Clone(e.old), []string{"get-token"}
	maps.Copy(e.old, flags)
	for _, flag := range slices.Sorted(maps.Keys(e.old)) {
		switch {
		case !slices.Contains(boolFlags, flag):
			e.args = append(e.args, "--"+flag, e.old[flag])
		case e.old[flag] == "true":
			e.args = append(e.args, "--"+flag)
		}
	}
}

func (u *oldUser) legacy() bool {
	if u.provider != nil {
		return u.provider["config-mode"] != "1"
	}
	return u.exec != nil && u.exec.old["legacy"] == "true"
}

func (u *oldUser) clone() oldUser {
	c := *u
	c.provider = maps.Clone(u.provider)
	if u.exec != nil {
		e := *u.exec
		c.exec = &e
	}
	return c
}

// entry is the user as a kubeconfig has it. Env stands for the stanza's where it is not nil.
func (u *oldUser) entry(env map[string]string) map[string]any {
	if u.provider != nil {
		return map[string]any{"auth-provider": map[string]any{"name": "azure", "config": u.provider}}
	}
	if u.exec == nil {
		return u.other
	}
	e := map[string]any{"apiVersion": "client.authentication.k8s.io/v1beta1", "command": u.exec.command, "args": u.exec.args}
	maps.Copy(e, u.exec.others)
	if env == nil {
		env = u.exec.env
	}
	var list []any
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, map[string]any{"name": name, "value": env[name]})
	}
	if list != nil {
		e["env"] = list
	}
	return map[string]any{"exec": e}
}

// canonicalNames gives flags their present names.
func canonicalNames(flags map[string]string) map[string]string {
	c := map[string]string{}
	for flag, value := range flags {
		if flag == "token-cache-dir" {
			flag = "cache-dir"
		}
		c[flag] = value
	}
	return c
}

// canonical leaves out what means the same as nothing, and writes the rest in one way.
func canonical(flags map[string]string) map[string]string {
	c := canonicalNames(flags)
	for flag, value := range c {
		if value == "false" && slices.Contains(boolFlags, flag) {
			delete(c, flag)
		}
		if d, err := time.ParseDuration(value); flag == "timeout" && err == nil {
			c[flag] = d.String()
		}
	}
	return c
}

// chance draws.
type chance struct{ *rand.Rand }

func (r chance) percent(n int) bool { return r.IntN(100) < n }

func pick[T any](r chance, from ...T) T { return from[r.IntN(len(from))] }

// flags draws values for some of a method's flags.
func (r chance) flags(method string, percent int) map[string]string {
	flags := map[string]string{}
	for _, flag := range append(slices.Clone(methodFlags[method]), "server-id") {
		switch {
		case !r.percent(percent):
		case flag == "pop":
			flags["pop-enabled"], flags["pop-claims"] = "true", pick(r, flagValues["pop-claims"]...)
		case slices.Contains(boolFlags, flag):
			flags[flag] = "true"
		default:
			flags[flag] = pick(r, flagValues[flag]...)
		}
	}
	return flags
}

// spelled writes flags in one of the ways in which pflag reads each.
func (r chance) spelled(flags map[string]string, percent int) []string {
	var args []string
	names := slices.Sorted(maps.Keys(flags))
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, flag := range names {
		value, short := flags[flag], shortFlags[flag]
		switch odd := r.percent(percent); {
		case slices.Contains(boolFlags, flag) && value == "true" && !odd:
			args = append(args, "--"+flag)
		case slices.Contains(boolFlags, flag):
			args = append(args, "--"+flag+"="+value)
		case !odd:
			args = append(args, "--"+flag, value)
		case short != "":
			args = append(args, pick(r, []string{short, value}, []string{short + "=" + value}, []string{short + value})...)
		default:
			args = append(args, "--"+flag+"="+value)
		}
	}
	return args
}

func (r chance) user(name string) oldUser {
	u := oldUser{name: name}
	switch kind := r.IntN(100); {
	case kind < 30:
		u.provider = map[string]string{}
		for _, field := range []struct{ name, flag string }{{"apiserver-id", "server-id"}, {"client-id", "client-id"}, {"environment", "environment"}, {"tenant-id", "tenant-id"}} {
			if r.percent(85) {
				u.provider[field.name] = pick(r, flagValues[field.flag]...)
			}
		}
		if mode := pick(r, "", "0", "1"); mode != "" {
			u.provider["config-mode"] = mode
		}
	case kind < 75:
		u.exec = r.exec()
	case kind < 82:
		u.exec = &oldExec{command: "kubelogin", env: map[string]string{}, args: pick(r, []string{"get-token", "--oidc-issuer-url=https://issuer.example"}, []string{"convert-kubeconfig"}, []string{})}
	default:
		u.other = pick(r, map[string]any{"token": "t"}, map[string]any{"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"},
			map[string]any{"exec": map[string]any{"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": []string{"eks", "get-token"}, "interactiveMode": "IfAvailable", "provideClusterInfo": false}},
			map[string]any{"auth-provider": map[string]any{"name": "gcp", "config": map[string]any{"cmd-path": "gcloud"}}})
	}
	return u
}

func (r chance) exec() *oldExec {
	method := pick(r, allMethods...)
	e := &oldExec{command: pick(r, "kubelogin", "kubelogin", "/usr/local/bin/kubelogin", `C:\tools\KubeLogin.exe`), old: r.flags(method, 75), env: map[string]string{}, others: map[string]any{}}
	e.old["login"] = method
	if r.percent(20) {
		flag := pick(r, "timeout", "environment")
		e.old[flag] = pick(r, flagValues[flag]...)
	}
	if r.percent(10) {
		e.old[pick(r, "use-azurerm-env-vars", "disable-instance-discovery")] = "true"
	}
	e.args = append([]string{"get-token"}, r.spelled(e.old, pick(r, 0, 0, 40))...)
	if r.percent(50) {
		e.env[pick(r, "AZURE_CONFIG_DIR", "HTTPS_PROXY")] = "/old"
	}
	if r.percent(30) {
		e.others = map[string]any{"interactiveMode": pick(r, "Never", "Always", "IfAvailable"), "provideClusterInfo": r.percent(50), "installHint": "ask Jane"}
	}
	return e
}

// newConvertCase draws one; the same number always draws the same.
func newConvertCase(number int) *convertCase {
	r := chance{rand.New(rand.NewPCG(2026, uint64(number)))}
	c := &convertCase{place: pick(r, "flag", "variable", "home"), typed: map[string]string{}}
	first := []oldUser{r.user("u0")}
	for i := 1; r.percent(40) && i < 4; i++ {
		first = append(first, r.user("u"+strconv.Itoa(i)))
	}
	c.files = [][]oldUser{first}
	if r.percent(30) {
		shadowed := r.user("u0")
		shadowed.shadowed = true
		c.place, c.files = "variable", append(c.files, []oldUser{shadowed, r.user("v0")})
	}
	c.typed = r.flags(pick(r, allMethods...), pick(r, 0, 15, 80))
	if r.percent(75) {
		method := pick(r, allMethods...)
		c.typed = r.flags(method, pick(r, 20, 50, 95))
		c.typed["login"] = method
	} else if r.percent(30) {
		c.loginVariable = pick(r, allMethods...)
	}
	for _, flag := range []string{"timeout", "use-azurerm-env-vars", "disable-environment-override", "environment", "disable-instance-discovery", "username", "cache-dir", "subscription"} {
		if !r.percent(7) || flag == "cache-dir" && c.typed["token-cache-dir"] != "" {
			continue
		}
		if c.typed[flag] = "true"; !slices.Contains(boolFlags, flag) {
			c.typed[flag] = pick(r, flagValues[flag]...)
		}
	}
	if r.percent(25) {
		c.typed["legacy"] = "false"
	}
	if r.percent(4) {
		delete(c.typed, pick(r, "pop-claims", "pop-enabled"))
	}
	if r.percent(4) {
		c.typed["pop-enabled"] = "false"
	}
	if r.percent(3) {
		wrong := pick(r, "login=oidc", "timeout=0s", "timeout=soon", "authority-host=login.microsoftonline.com")
		flag, value, _ := strings.Cut(wrong, "=")
		c.typed[flag] = value
	}
	c.args = append([]string{"convert-kubeconfig"}, r.spelled(c.typed, 40)...)
	if r.percent(20) || c.typed["login"] == "azurecli" && r.percent(50) {
		c.args = append(c.args, "--azure-config-dir", "/home/jane/azure")
	}
	if r.percent(20) {
		c.args = append(c.args, "--context", pick(r, "of-u0", "of-u0", "of-u0", "of-u1", "of-nobody", "none"))
	}
	if r.percent(2) {
		c.args = append(c.args, "--no-such-flag")
	}
	return c
}

// kubeconfigOf is a file with these users, and a context for each.
func kubeconfigOf(users []oldUser, env map[string]string) []byte {
	contexts := []any{map[string]any{"name": "of-nobody", "context": map[string]any{"cluster": "c", "user": "nobody"}}}
	var entries []any
	for _, u := range users {
		contexts = append(contexts, map[string]any{"name": "of-" + u.name, "context": map[string]any{"cluster": "c", "user": u.name}})
		entries = append(entries, map[string]any{"name": u.name, "user": u.entry(env)})
	}
	content, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "contexts": contexts, "users": entries, "current-context": "of-u0",
		"clusters": []any{map[string]any{"name": "c", "cluster": map[string]any{"server": "https://c.example"}}},
	})
	if err != nil {
		panic(err)
	}
	return content
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
func (c *convertCase) run(t *testing.T, program string, files [][]byte, more ...string) (o outcome, after [][]byte) {
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	env := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	if c.loginVariable != "" {
		env = append(env, "AAD_LOGIN_METHOD="+c.loginVariable)
	}
	paths := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}[:len(files)]
	args := slices.Concat(c.args, more)
	switch c.place {
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
	return outcome{failed: err != nil, words: string(out)}, after
}

// contents are the files as they are at first.
func (c *convertCase) contents() [][]byte {
	var files [][]byte
	for _, users := range c.files {
		files = append(files, kubeconfigOf(users, nil))
	}
	return files
}

// tally applies differences, and counts by name how often each changed something.
type tally struct {
	differences []wantedDifference
	mutex       sync.Mutex
	met         map[string]int
}

func (t *tally) each(changes func(d wantedDifference) bool) {
	for _, d := range t.differences {
		if changes(d) {
			t.mutex.Lock()
			t.met[d.name]++
			t.mutex.Unlock()
		}
	}
}

// wanted is what kubelogin says to a conversion, changed by the differences. It is asked once for each --login that they type for some of the users.
func (c *convertCase) wanted(t *testing.T, kubelogin string, differences *tally) outcome {
	questions, logins := c.questions(differences)
	all := outcome{converted: map[string]convertedUser{}}
	for _, login := range logins {
		o := c.asked(t, kubelogin, questions, login)
		all.failed, all.words = all.failed || o.failed, all.words+o.words
		maps.Copy(all.converted, o.converted)
	}
	for i, users := range c.files {
		for _, u := range users {
			if s, converted := all.converted[key(i, u.name)]; converted {
				differences.each(func(d wantedDifference) bool { return d.want != nil && d.want(c, u, &s) })
				all.converted[key(i, u.name)] = s
			}
		}
	}
	differences.each(func(d wantedDifference) bool { return d.exit != nil && d.exit(c, &all) })
	return all
}

// questions are the users that kubelogin is asked to convert, and what is typed as --login for them; "": what the case has.
func (c *convertCase) questions(differences *tally) (files [][]oldUser, logins []string) {
	for _, users := range c.files {
		var questions []oldUser
		for _, u := range users {
			q := u.clone()
			differences.each(func(d wantedDifference) bool { return d.asked != nil && d.asked(c, &q) })
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

func key(file int, name string) string { return fmt.Sprintf("%d/%s", file, name) }

// asked asks kubelogin about the users that one --login is typed for. A
// variable in each stanza tells those that are not converted: kubelogin takes it away.
func (c *convertCase) asked(t *testing.T, kubelogin string, questions [][]oldUser, login string) outcome {
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
			s := stanzaOf(usersIn(t, content)[u.name])
			if u.other == nil && u.login == login && s.command != "" && s.env["NOT_CONVERTED"] == "" && !o.failed {
				o.converted[key(i, u.name)] = s
			}
		}
	}
	return o
}

// stanzaOf reads an exec stanza. Arguments that are not get-token's are under names that no flag has.
func stanzaOf(user map[string]any) convertedUser {
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
func (c *convertCase) differences(t *testing.T, want outcome, program string) (found []string) {
	before := c.contents()
	got, after := c.run(t, program, before)
	if got.failed != want.failed {
		return []string{fmt.Sprintf("failed is %v, want %v\n%skubelogin: %s", got.failed, want.failed, got.words, want.words)}
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
			stanza, converted := want.converted[key(i, u.name)]
			if converted {
				found = append(found, stanza.differences(key(i, u.name), is[u.name])...)
			} else if !reflect.DeepEqual(was[u.name], is[u.name]) {
				found = append(found, fmt.Sprintf("%s: is %v, want it untouched: %v", key(i, u.name), is[u.name], was[u.name]))
			}
		}
	}
	return found
}

func (s convertedUser) differences(where string, user map[string]any) (found []string) {
	got := stanzaOf(user)
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

// kubelogin is the incumbent.
func kubelogin(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: kubelogin is not built and not compared with")
	}
	program, err := incumbent.Program()
	if err != nil {
		notHere(t, err.Error())
	}
	return program
}

// compare runs conversions with both programs, four at a time, and says what differs.
func compare(t *testing.T, kubelogin, program string, number int, differences *tally) {
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
func (c *convertCase) compare(t *testing.T, kubelogin, program string, differences *tally) string {
	if len(differences.differences) == 0 && len(c.files) > 1 { // has a shadowed user, whose two entries kubelogin mixes
		return ""
	}
	found := c.differences(t, c.wanted(t, kubelogin, differences), program)
	if found == nil {
		return ""
	}
	return fmt.Sprintf("%s\nAAD_LOGIN_METHOD=%s %q\n%s", strings.Join(found, "\n"), c.loginVariable, c.args, bytes.Join(c.contents(), []byte("---\n")))
}

// Conversions end as kubelogin's do, but for the differences that are wanted. Kubelogin itself has none.
func TestConvertAsKubelogin(t *testing.T) {
	kubelogin := kubelogin(t)
	akslogin := binary(t)
	t.Run("kubelogin", func(t *testing.T) { compare(t, kubelogin, kubelogin, 60, &tally{}) })
	t.Run("akslogin", func(t *testing.T) {
		differences := &tally{differences: wantedDifferences, met: map[string]int{}}
		compare(t, kubelogin, akslogin, 400, differences)
		for _, d := range wantedDifferences {
			if differences.met[d.name] == 0 {
				t.Errorf("no conversion meets this difference: %s (%s)", d.name, d.reason)
			}
		}
	})
}
