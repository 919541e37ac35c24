package stanza

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/akslogin/akslogin/cache"
	"github.com/akslogin/akslogin/internal/flags"
	"github.com/akslogin/akslogin/internal/kubeconfig"
	"github.com/akslogin/akslogin/token"
	"github.com/rogpeppe/go-internal/diff"
)

// Options say what a conversion is to do.
type Options struct {
	Command        string // "": as it is, or akslogin
	Context        string // whose user is converted; "": all are
	AzureConfigDir string
	DryRun         bool
	Flags          flags.Values
	Login          string // "": each stanza keeps its own
	User           string // the context's; "": all

	LockTimeout time.Duration // for another program that writes the file
}

// Converter converts the users of kubeconfigs.
type Converter struct{ Options }

// Conversion is what became of one file.
type Conversion struct {
	Content     []byte
	Matched     bool   // a user was converted, or runs this program as wanted already
	Report      string // a line for each user, or the difference
	unusedFlags []string
}

// Convert converts a file's users in memory. The files before it are those whose users hide this
// one's of the same name.
func (v *Converter) Convert(k *kubeconfig.File, before kubeconfig.Files) (Conversion, error) {
	done := Conversion{Content: k.Source()}
	seen := map[string]bool{}
	for _, f := range before {
		for _, u := range f.Users {
			seen[u.Name] = true
		}
	}
	for _, u := range k.Users {
		where := fmt.Sprintf("%s: user %q: ", k.Path, u.Name)
		skip := v.skipReason(u)
		switch {
		case v.User != "" && u.Name != v.User:
			skip = fmt.Sprintf("it is not the user of context %q", v.Context)
		case seen[u.Name]:
			skip = "another user of this name comes first"
		}
		seen[u.Name] = true
		if skip != "" {
			done.Report += token.Clean(where+"skipped: "+skip) + "\n"
			continue
		}
		want, method, label, err := v.targetExec(u)
		if err != nil {
			return done, errorAt(where, err)
		}
		now, err := kubeconfig.Parse(k.Path, done.Content)
		if err != nil {
			return done, err
		}
		content, err := now.WithExec(u.Name, want)
		if err != nil {
			return done, err
		}
		done.Matched = true
		done.unusedFlags = append(done.unusedFlags, v.unusedFlags(method, label)...)
		changed := !slices.Equal(content, done.Content)
		done.Report += v.reportLine(where, u, want, method, label, changed)
		done.Content = content
	}
	return done, nil
}

func errorAt(where string, err error) error {
	failed := &token.FailedError{Text: where + err.Error()}
	var usage *token.UsageError
	if errors.As(err, &usage) {
		failed.Hint = cmp.Or(
			usage.Hint,
			"give the flag, or name with --context the one user that is meant; nothing was changed",
		)
	}
	return failed
}

// skipReason says why a user is not one for this program; "" where it is.
func (v *Converter) skipReason(u kubeconfig.User) string {
	switch {
	case u.AuthProvider != nil && u.AuthProvider.Name == azureAuthProvider:
		return ""
	case u.AuthProvider != nil:
		return "it logs in with the auth-provider " + u.AuthProvider.Name
	case u.Exec == nil && len(u.OtherFields) > 0:
		return "it logs in with " + strings.Join(u.OtherFields, ", ")
	case u.Exec == nil:
		return "it has no login"
	case !IsOurCommand(u.Exec.Command) && u.Exec.Command != v.Command:
		return "it runs " + CommandName(u.Exec.Command)
	}
	if _, err := ReadArgs(u.Exec); err != nil {
		return "its args are not get-token's: " + err.Error()
	}
	return ""
}

// azureAuthProvider is what wrote tokens into kubeconfigs before Kubernetes 1.26 removed it.
const azureAuthProvider = "azure"

// IsOurCommand tells whether a command is this program or kubelogin, under any path and suffix.
func IsOurCommand(command string) bool {
	command = strings.ToLower(command)
	return strings.Contains(command, "kubelogin") || strings.Contains(command, "akslogin")
}

// authProviderFlags are the names that flags have in an auth-provider's config.
var authProviderFlags = map[string]string{
	"client-id":    "client-id",
	"tenant-id":    "tenant-id",
	"apiserver-id": "server-id",
	"environment":  "environment",
}

// currentFlags are the flags that a user's login amounts to.
func currentFlags(u kubeconfig.User) (flags.Values, error) {
	if u.AuthProvider == nil || u.AuthProvider.Name != azureAuthProvider {
		flags, err := ReadArgs(u.Exec)
		for _, variable := range u.Exec.Env {
			if err == nil && variable.Name == "AAD_LOGIN_METHOD" && variable.Value != "" &&
				flags["disable-environment-override"] == "" {
				flags["login"] = variable.Value
			}
		}
		return flags, err
	}
	flags := flags.Values{}
	for name, flag := range authProviderFlags {
		if value := u.AuthProvider.Config[name]; value != "" {
			flags[flag] = value
		}
	}
	if mode := u.AuthProvider.Config["config-mode"]; mode == "" || mode == "0" {
		flags["legacy"] = "true"
	}
	return flags, nil
}

// targetExec returns the exec config that a user gets, its login method, and the method in words.
// The method is the zero value if it is chosen where the exec config runs.
func (v *Converter) targetExec(
	u kubeconfig.User,
) (want kubeconfig.Exec, m token.Method, label string, err error) {
	flags, err := currentFlags(u)
	if err != nil {
		return want, m, "", err
	}
	if flags["login"] == "" && u.Exec != nil && u.AuthProvider == nil &&
		strings.Contains(strings.ToLower(u.Exec.Command), "akslogin") {
		if v.Login == "" && len(v.Flags) == 0 { // it chooses where it runs
			return withDefaults(m, *u.Exec), m, "login chosen where it runs", nil
		}
		flags["login"] = token.DefaultPodMethod
	}
	m, known := token.MethodByName(cmp.Or(v.Login, flags["login"], token.FallbackMethod))
	if !known {
		return want, m, "", &token.UsageError{
			Text: "its login method does not exist",
			Hint: "give --login, or name with --context the one user that is meant; nothing was changed",
		}
	}
	if u.Exec != nil {
		want = *u.Exec
	}
	args, err := BuildArgs(m, flags, v.Flags)
	if err != nil {
		return want, m, "", err
	}
	// Arguments that say the same stay as they are written, with their order and their comments.
	if u.Exec == nil || u.AuthProvider != nil || !sameFlags(args, flags) {
		want.Args = args
	}
	if v.Command != "" || !strings.Contains(strings.ToLower(want.Command), "akslogin") {
		want.Command = cmp.Or(v.Command, "akslogin")
	}
	if name := m.Stanza.ConfigDirVariable; v.AzureConfigDir != "" && name != "" {
		others := slices.DeleteFunc(
			slices.Clone(want.Env),
			func(e kubeconfig.EnvVar) bool { return e.Name == name },
		)
		dir := kubeconfig.EnvVar{Name: name, Value: cache.ExpandPath(v.AzureConfigDir)}
		want.Env = append(others, dir)
	}
	return withDefaults(m, want), m, "login " + m.Name, nil
}

// sameFlags reports whether args set exactly these flags. Args that cannot be read do not.
func sameFlags(args []string, flags flags.Values) bool {
	read, err := ReadArgs(&kubeconfig.Exec{Args: args})
	return err == nil && maps.Equal(read, flags)
}

// unusedFlags are the flags that were typed and mean nothing to a method.
func (v *Converter) unusedFlags(m token.Method, label string) []string {
	var flags []string
	for flag := range v.Flags {
		if flag != "login" && !methodReads(m, flag) {
			flags = append(flags, "--"+flag+" for "+label)
		}
	}
	return flags
}

// UnusedFlags are all flags that mean nothing to a method that was written, once each.
func UnusedFlags(all []Conversion) []string {
	var unread []string
	for _, done := range all {
		unread = append(unread, done.unusedFlags...)
	}
	slices.Sort(unread)
	return slices.Compact(unread)
}

// ConvertFile converts a file under kubectl's lock, from what it holds by then.
func (v *Converter) ConvertFile(
	k *kubeconfig.File,
	before kubeconfig.Files,
) (done Conversion, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), v.LockTimeout)
	defer cancel()
	err = kubeconfig.Update(ctx, k.Path, func(old []byte) ([]byte, error) {
		now, err := kubeconfig.Parse(k.Path, old)
		if err != nil {
			return nil, err
		}
		done, err = v.Convert(now, before)
		return done.Content, err
	})
	return done, err
}

// reportLine is a line on a user, with the difference if that is what was asked for.
func (v *Converter) reportLine(
	where string,
	u kubeconfig.User,
	want kubeconfig.Exec,
	m token.Method,
	login string,
	changed bool,
) string {
	if m.Interactive && want.InteractiveMode == "Never" {
		login += ", which needs a person, and its interactiveMode is Never: set that to IfAvailable"
	}
	for _, variable := range want.Env {
		if flags.OverridesFlag(variable.Name) &&
			!slices.Contains(want.Args, "--disable-environment-override") {
			login += ", but " + variable.Name + " in its env wins over its arguments: remove one of them"
		}
	}
	switch {
	case !changed:
		return token.Clean(where+"is as wanted, "+login) + "\n"
	case !v.DryRun:
		return token.Clean(where+"converted, "+login) + "\n"
	}
	lines := diff.Diff(
		"now",
		[]byte(formatLogin(u.AuthProvider, u.Exec)),
		"converted",
		[]byte(formatLogin(nil, &want)),
	)
	_, lines, _ = bytes.Cut(lines, []byte("@@\n")) // the names of two files that are none
	return token.Clean(where+"would be converted, "+login) + "\n" + string(lines)
}
