package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The Azure CLI and the Azure Developer CLI as azidentity meets them: their command lines, what they print, and the files in which they
// keep who is signed in. They sign in at the emulator, with passwords where the real ones would open a browser.
//
// A script sets how they behave by variables:
//
//	FAKE_LOG     a file to which each run adds its command line and its process ID
//	FAKE_WAIT    each run waits until that file exists, half a minute at most
//	FAKE_WARN    what is printed on standard error before anything else
//	FAKE_OUTPUT  a file whose content is printed in place of the answer
//	FAKE_ERROR   the error with which a run ends, status 1
//	FAKE_DEAF    set: SIGTERM is ignored, and a child that ignores it too keeps the outputs open while the run waits
//	FAKE_OLD     set: answers are those of versions before expires_on, local time only
type fake struct {
	name string
	run  func(args []string) error
}

func (f fake) main() {
	os.Exit(f.exit(os.Args[1:]))
}

func (f fake) exit(args []string) int {
	if file := os.Getenv("FAKE_LOG"); file != "" {
		f.log(file, args)
	}
	if os.Getenv("FAKE_DEAF") != "" {
		signal.Ignore(syscall.SIGTERM)
		child := exec.Command("/bin/sh", "-c", `trap "" TERM; i=0; while [ ! -e "$FAKE_WAIT" ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done`)
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if file := os.Getenv("FAKE_LOG"); file != "" {
			appendLine(file, fmt.Sprintf("child of %s %d", f.name, child.Process.Pid))
		}
	}
	if warning := os.Getenv("FAKE_WARN"); warning != "" {
		fmt.Fprintln(os.Stderr, "WARNING: "+warning)
	}
	if file := os.Getenv("FAKE_WAIT"); file != "" {
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat(file); err == nil {
				break
			}
		}
	}
	if text := os.Getenv("FAKE_ERROR"); text != "" {
		fmt.Fprintln(os.Stderr, text)
		return 1
	}
	if file := os.Getenv("FAKE_OUTPUT"); file != "" {
		content, err := os.ReadFile(file)
		os.Stdout.Write(content)
		if err == nil {
			return 0
		}
	}
	if err := f.run(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (f fake) log(file string, args []string) {
	appendLine(file, fmt.Sprintf("%s %s %d", f.name, strings.Join(args, " "), os.Getpid()))
}

func appendLine(file, line string) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(70)
	}
	defer f.Close()
	io.WriteString(f, line+"\n") // one write, so that runs at once do not mix
}

// said is an error in the words of the CLIs, which are not Go's: they begin with capitals and end with full stops.
func said(format string, args ...any) error { return cliError(fmt.Sprintf(format, args...)) }

type cliError string

func (e cliError) Error() string { return string(e) }

// splitArguments splits words and flags; short flags are given with their long names, and flags that take no value with "".
func splitArguments(args []string, short map[string]string, switches ...string) (words []string, flags map[string]string, err error) {
	flags = map[string]string{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if !strings.HasPrefix(arg, "-") {
			words = append(words, arg)
			continue
		}
		name, value, glued := strings.Cut(arg, "=")
		if long := short[name]; long != "" {
			name = long
		}
		switch {
		case glued:
		case slices.Contains(switches, name):
		case len(args) == 0:
			return nil, nil, said("ERROR: argument %s: expected one argument", arg)
		default:
			value, args = args[0], args[1:]
		}
		flags[name] = value
	}
	return words, flags, nil
}

// cliClient is the client ID of the Azure CLI, which azd uses too.
const cliClient = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

// entraAnswer is an answer of the token endpoint.
type entraAnswer struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	ClientInfo   string `json:"client_info"`
	Description  string `json:"error_description"`
}

// askEntra sends a grant. What Entra refuses is its error's text.
func askEntra(tenant, clientID, scope string, grant url.Values) (a entraAnswer, err error) {
	form := url.Values{"client_id": {clientID}, "scope": {scope}}
	maps.Copy(form, grant)
	resp, err := http.PostForm("https://login.microsoftonline.com/"+tenant+"/oauth2/v2.0/token", form)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return a, err
	}
	if a.Description != "" {
		return a, said("%s", a.Description)
	}
	return a, nil
}

// personal are the scopes that MSAL adds for a person.
const personal = " openid profile offline_access"

// An msalCache is the cache file of an MSAL library: Python's in az, Go's in azd, in one format.
type msalCache struct {
	path string
	AccessToken,
	Account,
	IdToken,
	RefreshToken,
	AppMetadata map[string]map[string]string
}

// withCache changes a cache under its lock. A missing file is an empty one.
func withCache(path string, change func(*msalCache) error) error {
	lock, err := os.OpenFile(path+".lockfile", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	c := msalCache{path: path}
	before, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(before, &c)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, part := range []*map[string]map[string]string{&c.AccessToken, &c.Account, &c.IdToken, &c.RefreshToken, &c.AppMetadata} {
		if *part == nil {
			*part = map[string]map[string]string{}
		}
	}
	if err := change(&c); err != nil {
		return err
	}
	after, err := json.MarshalIndent(c, "", "    ")
	if err != nil || bytes.Equal(before, after) {
		return err
	}
	return os.WriteFile(path, after, 0o600)
}

const entraEnvironment = "login.microsoftonline.com"

// keep stores an answer for a person; it returns the account's ID.
func (c *msalCache) keep(a entraAnswer, user, tenant, scope string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(a.ClientInfo)
	var info struct{ UID, UTID string }
	if err == nil {
		err = json.Unmarshal(raw, &info)
	}
	if err != nil {
		return "", fmt.Errorf("client_info %q: %w", a.ClientInfo, err)
	}
	home := info.UID + "." + info.UTID
	if tenant == "organizations" {
		tenant = info.UTID
	}
	common := map[string]string{"home_account_id": home, "environment": entraEnvironment, "client_id": cliClient}
	entry := func(more map[string]string) map[string]string {
		e := maps.Clone(common)
		maps.Copy(e, more)
		return e
	}
	c.Account[home+"-"+entraEnvironment+"-"+tenant] = map[string]string{
		"home_account_id": home, "environment": entraEnvironment, "realm": tenant, "local_account_id": info.UID, "username": user, "authority_type": "MSSTS",
	}
	c.AppMetadata["appmetadata-"+entraEnvironment+"-"+cliClient] = map[string]string{"client_id": cliClient, "environment": entraEnvironment, "family_id": "1"}
	if a.RefreshToken != "" {
		c.RefreshToken[home+"-"+entraEnvironment+"-refreshtoken-"+cliClient+"--"] = entry(map[string]string{"credential_type": "RefreshToken", "secret": a.RefreshToken, "family_id": "1"})
	}
	if a.IDToken != "" {
		c.IdToken[home+"-"+entraEnvironment+"-idtoken-"+cliClient+"-"+tenant+"-"] = entry(map[string]string{"credential_type": "IdToken", "secret": a.IDToken, "realm": tenant})
	}
	c.keepAccess(a, home, cliClient, tenant, scope)
	return home, nil
}

func (c *msalCache) keepAccess(a entraAnswer, home, clientID, tenant, scope string) {
	c.AccessToken[accessKey(home, clientID, tenant, scope)] = map[string]string{
		"credential_type": "AccessToken", "secret": a.AccessToken, "home_account_id": home, "environment": entraEnvironment, "client_id": clientID,
		"realm": tenant, "target": scope, "token_type": "Bearer",
		"cached_at": strconv.FormatInt(time.Now().Unix(), 10), "expires_on": strconv.FormatInt(time.Now().Unix()+a.ExpiresIn, 10),
	}
}

func accessKey(home, clientID, tenant, scope string) string {
	return strings.ToLower(strings.Join([]string{home, entraEnvironment, "accesstoken", clientID, tenant, scope}, "-"))
}

// access is a cached access token that lives for five minutes more, as MSAL wants it.
func (c *msalCache) access(home, clientID, tenant, scope string) (token string, expires int64, ok bool) {
	e := c.AccessToken[accessKey(home, clientID, tenant, scope)]
	expires, err := strconv.ParseInt(e["expires_on"], 10, 64)
	return e["secret"], expires, err == nil && expires > testWorld().now().Unix()+300
}

// silent is an access token for a person who has signed in, from the cache or for the refresh token.
func (c *msalCache) silent(home, user, tenant, scope string) (token string, expires int64, err error) {
	if token, expires, ok := c.access(home, cliClient, tenant, scope); ok {
		return token, expires, nil
	}
	refresh := c.RefreshToken[home+"-"+entraEnvironment+"-refreshtoken-"+cliClient+"--"]["secret"]
	if refresh == "" {
		return "", 0, errors.New("no refresh token")
	}
	a, err := askEntra(tenant, cliClient, scope+personal, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_info": {"1"}})
	if err != nil {
		return "", 0, err
	}
	if _, err := c.keep(a, user, tenant, scope); err != nil {
		return "", 0, err
	}
	return a.AccessToken, time.Now().Unix() + a.ExpiresIn, nil
}

// forget removes everything of an account.
func (c *msalCache) forget(home string) {
	for _, part := range []map[string]map[string]string{c.AccessToken, c.Account, c.IdToken, c.RefreshToken} {
		maps.DeleteFunc(part, func(_ string, e map[string]string) bool { return e["home_account_id"] == home })
	}
}

// account finds who signed in under a name.
func (c *msalCache) account(user string) (home string, ok bool) {
	for _, e := range c.Account {
		if strings.EqualFold(e["username"], user) {
			return e["home_account_id"], true
		}
	}
	return "", false
}

// configFolder is the folder of a CLI's files, made when it is not there.
func configFolder(variable, below string) (string, error) {
	folder := os.Getenv(variable)
	if folder == "" {
		folder = filepath.Join(os.Getenv("HOME"), below)
	}
	return folder, os.MkdirAll(folder, 0o700)
}

// subscriptions are what an account of the Azure CLI has access to.
var subscriptions = []struct {
	id, name, tenant string
	users            []string
}{
	{subscription, "Production", tenant, []string{alice, client}},
	{otherSubscription, "Dev and Test", tenant, []string{alice, bob}},
	{"77777777-aaaa-4444-8888-000000000003", "Elsewhere", otherTenant, []string{carol, otherClient}},
}

// azProfile is azureProfile.json.
type azProfile struct {
	InstallationID string           `json:"installationId"`
	Subscriptions  []azSubscription `json:"subscriptions"`
}

type azSubscription struct {
	ID              string   `json:"id"`
	Name            string   `json:"name"`
	State           string   `json:"state"`
	User            azUser   `json:"user"`
	IsDefault       bool     `json:"isDefault"`
	TenantID        string   `json:"tenantId"`
	EnvironmentName string   `json:"environmentName"`
	HomeTenantID    string   `json:"homeTenantId"`
	ManagedBy       []string `json:"managedByTenants"`
}

type azUser struct {
	Name string `json:"name"`
	Type string `json:"type"` // user or servicePrincipal
}

// az is the Azure CLI with its folder.
type az struct {
	folder, cloud string
	profile       azProfile
	flags         map[string]string
}

const byteOrderMark = "\ufeff"

func runAz(args []string) error {
	words, flags, err := splitArguments(args, map[string]string{
		"-o": "--output", "-u": "--username", "-p": "--password", "-t": "--tenant", "-s": "--subscription", "--name": "--subscription", "-n": "--subscription",
	}, "--service-principal", "--allow-no-subscriptions", "--only-show-errors")
	if err != nil {
		return err
	}
	a := az{flags: flags, cloud: "AzureCloud"}
	if a.folder, err = configFolder("AZURE_CONFIG_DIR", ".azure"); err != nil {
		return err
	}
	command := map[string]func() error{
		"login": a.login, "logout": a.logout, "account set": a.set, "account show": a.show, "account clear": a.clear, "account get-access-token": a.token, "cloud set": a.setCloud,
	}[strings.Join(words, " ")]
	if command == nil {
		return said("ERROR: '%s' is misspelled or not recognized by the system.", strings.Join(words, " "))
	}
	if err := a.load(); err != nil {
		return err
	}
	return command()
}

// load reads the profile and makes it at the first run, as every command of az does.
func (a *az) load() error {
	raw, err := os.ReadFile(a.file("azureProfile.json"))
	if err == nil {
		err = json.Unmarshal(bytes.TrimPrefix(raw, []byte(byteOrderMark)), &a.profile)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if raw, err := os.ReadFile(a.file("config")); err == nil {
		if _, name, ok := strings.Cut(string(raw), "name = "); ok {
			a.cloud, _, _ = strings.Cut(name, "\n")
		}
	}
	if a.profile.InstallationID == "" {
		a.profile.InstallationID = "88888888-aaaa-11ef-8888-000000000001"
		return a.save()
	}
	return nil
}

func (a *az) file(name string) string { return filepath.Join(a.folder, name) }
func (a *az) tokens() string          { return a.file("msal_token_cache.json") }
func (a *az) secrets() string         { return a.file("service_principal_entries.json") }

// save writes in place, as az does: whoever reads at that moment may find half of it.
func (a *az) save() error {
	raw, err := json.Marshal(a.profile)
	if err != nil {
		return err
	}
	return os.WriteFile(a.file("azureProfile.json"), append([]byte(byteOrderMark), raw...), 0o600)
}

const managementScope = "https://management.core.windows.net//.default"

func (a *az) login() error {
	user, secret := a.flags["--username"], a.flags["--password"]
	_, principal := a.flags["--service-principal"]
	account := azUser{user, "user"}
	err := withCache(a.tokens(), func(c *msalCache) error {
		if principal {
			return nil
		}
		home := a.flags["--tenant"]
		if home == "" {
			home = "organizations"
		}
		answer, err := askEntra(home, cliClient, managementScope+personal, url.Values{"grant_type": {"password"}, "username": {user}, "password": {secret}, "client_info": {"1"}})
		if err == nil {
			_, err = c.keep(answer, user, home, managementScope)
		}
		return err
	})
	if principal && err == nil {
		account.Type = "servicePrincipal"
		err = a.loginPrincipal(user, secret)
	}
	if err != nil {
		return said("ERROR: %v", err)
	}
	var found []azSubscription
	for _, s := range subscriptions {
		if only := a.flags["--tenant"]; slices.Contains(s.users, user) && (only == "" || only == s.tenant) {
			found = append(found, azSubscription{ID: s.id, Name: s.name, State: "Enabled", User: account, TenantID: s.tenant, EnvironmentName: a.cloud, HomeTenantID: s.tenant, ManagedBy: []string{}})
		}
	}
	if len(found) == 0 {
		return said("ERROR: No subscriptions found for %s.", user)
	}
	return a.merge(found)
}

func (a *az) loginPrincipal(clientID, secret string) error {
	home := a.flags["--tenant"]
	answer, err := askEntra(home, clientID, managementScope, url.Values{"grant_type": {"client_credentials"}, "client_secret": {secret}})
	if err != nil {
		return err
	}
	entries := a.principals()
	entries = slices.DeleteFunc(entries, func(e map[string]string) bool { return e["client_id"] == clientID && e["tenant"] == home })
	raw, err := json.MarshalIndent(append(entries, map[string]string{"client_id": clientID, "tenant": home, "client_secret": secret}), "", "    ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.secrets(), raw, 0o600); err != nil {
		return err
	}
	return withCache(a.tokens(), func(c *msalCache) error {
		c.keepAccess(answer, "", clientID, home, managementScope)
		return nil
	})
}

func (a *az) principals() (entries []map[string]string) {
	if raw, err := os.ReadFile(a.secrets()); err == nil {
		json.Unmarshal(raw, &entries) // what is broken holds nobody
	}
	return entries
}

// merge adds subscriptions: the new login becomes the current one, with the former current subscription if it has that too.
func (a *az) merge(found []azSubscription) error {
	current := found[0].ID
	for i, s := range a.profile.Subscriptions {
		if s.IsDefault && slices.ContainsFunc(found, func(f azSubscription) bool { return f.ID == s.ID }) {
			current = s.ID
		}
		a.profile.Subscriptions[i].IsDefault = false
	}
	for _, f := range found {
		f.IsDefault = f.ID == current
		if i := slices.IndexFunc(a.profile.Subscriptions, func(s azSubscription) bool { return s.ID == f.ID }); i >= 0 {
			a.profile.Subscriptions[i] = f
			continue
		}
		a.profile.Subscriptions = append(a.profile.Subscriptions, f)
	}
	return a.saveCurrent(current)
}

// saveCurrent writes the current subscription, which stands in the clouds' file too.
func (a *az) saveCurrent(id string) error {
	clouds := "[" + a.cloud + "]\nsubscription = " + id + "\n\n"
	if err := os.WriteFile(a.file("clouds.config"), []byte(clouds), 0o600); err != nil {
		return err
	}
	return a.save()
}

// find is a subscription by ID or name, "" for the current one.
func (a *az) find(asked string) (*azSubscription, error) {
	var here []*azSubscription
	for i, s := range a.profile.Subscriptions {
		if s.EnvironmentName == a.cloud {
			here = append(here, &a.profile.Subscriptions[i])
		}
	}
	if len(here) == 0 {
		return nil, said("ERROR: Please run 'az login' to setup account.")
	}
	for _, s := range here {
		if asked == "" && s.IsDefault || asked != "" && (strings.EqualFold(s.ID, asked) || strings.EqualFold(s.Name, asked)) {
			return s, nil
		}
	}
	if asked != "" {
		return nil, said("ERROR: Subscription '%s' not found. Check the spelling and casing and try again.", asked)
	}
	return nil, said("ERROR: No subscription found. Run 'az account set' to select a subscription.")
}

func (a *az) set() error {
	s, err := a.find(a.flags["--subscription"])
	if err != nil {
		return said("ERROR: The subscription of '%s' doesn't exist in cloud '%s'.", a.flags["--subscription"], a.cloud)
	}
	for i := range a.profile.Subscriptions {
		a.profile.Subscriptions[i].IsDefault = false
	}
	s.IsDefault = true
	return a.saveCurrent(s.ID)
}

func (a *az) show() error {
	s, err := a.find(a.flags["--subscription"])
	if err != nil {
		return err
	}
	return printJSON(s)
}

func (a *az) setCloud() error {
	a.cloud = a.flags["--subscription"]
	return os.WriteFile(a.file("config"), []byte("[cloud]\nname = "+a.cloud+"\n\n"), 0o600)
}

func (a *az) logout() error {
	user := a.flags["--username"]
	if user == "" {
		s, err := a.find("")
		if err != nil {
			return said("ERROR: There are no active accounts.")
		}
		user = s.User.Name
	}
	a.profile.Subscriptions = slices.DeleteFunc(a.profile.Subscriptions, func(s azSubscription) bool { return strings.EqualFold(s.User.Name, user) })
	if err := a.save(); err != nil {
		return err
	}
	if entries := a.principals(); len(entries) > 0 {
		raw, err := json.MarshalIndent(slices.DeleteFunc(entries, func(e map[string]string) bool { return e["client_id"] == user }), "", "    ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(a.secrets(), raw, 0o600); err != nil {
			return err
		}
	}
	return withCache(a.tokens(), func(c *msalCache) error {
		if home, ok := c.account(user); ok {
			c.forget(home)
		}
		maps.DeleteFunc(c.AccessToken, func(_ string, e map[string]string) bool { return e["client_id"] == user })
		return nil
	})
}

func (a *az) clear() error {
	a.profile.Subscriptions = []azSubscription{}
	os.Remove(a.tokens())
	os.Remove(a.secrets())
	return a.save()
}

func (a *az) token() error {
	where, ofSubscription := a.flags["--tenant"], a.flags["--subscription"]
	if where != "" && ofSubscription != "" {
		return said("ERROR: Please specify only one of subscription and tenant, not both")
	}
	s, err := a.find(ofSubscription)
	if err != nil {
		return err
	}
	if where == "" {
		where = s.TenantID
	}
	scope := a.flags["--resource"] + "/.default"
	if a.flags["--resource"] == "" {
		scope = managementScope
	}
	var token string
	var expires int64
	err = withCache(a.tokens(), func(c *msalCache) (err error) {
		if s.User.Type == "servicePrincipal" {
			token, expires, err = a.principalToken(c, s.User.Name, where, scope)
			return err
		}
		home, ok := c.account(s.User.Name)
		if !ok {
			return said("User '%s' does not exist in MSAL token cache. Run `az login`.", s.User.Name)
		}
		token, expires, err = c.silent(home, s.User.Name, where, scope)
		if err != nil {
			return said("%v\nInteractive authentication is needed. Please run:\naz logout\naz login --tenant \"%s\" --scope \"%s\"", err, where, scope)
		}
		return nil
	})
	if err != nil {
		return said("ERROR: %v", err)
	}
	answer := map[string]any{
		"accessToken": token, "expiresOn": time.Unix(expires, 0).Format("2006-01-02 15:04:05.000000"), "tenant": where, "tokenType": "Bearer",
	}
	if a.flags["--tenant"] == "" {
		answer["subscription"] = s.ID
	}
	if os.Getenv("FAKE_OLD") == "" {
		answer["expires_on"] = expires
	}
	return printJSON(answer)
}

func (a *az) principalToken(c *msalCache, clientID, tenant, scope string) (token string, expires int64, err error) {
	if token, expires, ok := c.access("", clientID, tenant, scope); ok {
		return token, expires, nil
	}
	for _, e := range a.principals() {
		if e["client_id"] != clientID {
			continue
		}
		answer, err := askEntra(tenant, clientID, scope, url.Values{"grant_type": {"client_credentials"}, "client_secret": {e["client_secret"]}})
		if err != nil {
			return "", 0, err
		}
		c.keepAccess(answer, "", clientID, tenant, scope)
		return answer.AccessToken, time.Now().Unix() + answer.ExpiresIn, nil
	}
	return "", 0, said("Could not retrieve credential from local cache for service principal %s. Run `az login` for this service principal.", clientID)
}

func printJSON(v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(raw, '\n'))
	return err
}

// azd is the Azure Developer CLI with its folder. Its errors are JSON, as azidentity asks for that.
type azd struct {
	folder string
	flags  map[string]string
}

func runAzd(args []string) error {
	words, flags, err := splitArguments(args, map[string]string{"-o": "--output"}, "--no-prompt")
	if err != nil {
		return err
	}
	a := azd{flags: flags}
	if a.folder, err = configFolder("AZD_CONFIG_DIR", ".azd"); err == nil {
		err = os.MkdirAll(filepath.Join(a.folder, "auth", "msal"), 0o700)
	}
	if err != nil {
		return err
	}
	command := map[string]func() error{"auth login": a.login, "auth logout": a.logout, "auth token": a.token}[strings.Join(words, " ")]
	if len(words) == 4 && words[0] == "config" && words[1] == "set" {
		command = func() error { return a.configure(words[2], words[3]) }
	}
	if command == nil {
		return said("ERROR: unknown command %q for \"azd\"", strings.Join(words, " "))
	}
	if err = command(); err != nil {
		raw, jsonErr := json.Marshal(map[string]string{"error": err.Error(), "message": err.Error(), "suggestion": ""})
		if jsonErr != nil {
			return jsonErr
		}
		return errors.New(`{"type":"consoleMessage","timestamp":"2026-01-01T00:00:00Z","data":{"message":"\n"}}` + "\n" + string(raw))
	}
	return nil
}

func (a *azd) tokens() string { return filepath.Join(a.folder, "auth", "msal", "cache.json") }

func (a *azd) secret(tenant, clientID string) string {
	return filepath.Join(a.folder, "auth", "cred"+tenant+"."+clientID+".json")
}

// azdUser is who is signed in: a person's account, or an application.
type azdUser struct {
	HomeAccountID string `json:"homeAccountId,omitempty"`
	ClientID      string `json:"clientId,omitempty"`
	TenantID      string `json:"tenantId,omitempty"`
}

// azdAuth is auth.json.
type azdAuth struct {
	Auth struct {
		Account struct {
			CurrentUser *azdUser `json:"currentUser,omitempty"`
		} `json:"account"`
	} `json:"auth"`
}

func (a *azd) saveUser(u *azdUser) error {
	var auth azdAuth
	auth.Auth.Account.CurrentUser = u
	return writeJSONFile(filepath.Join(a.folder, "auth.json"), auth)
}

func writeJSONFile(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}

func (a *azd) configure(key, value string) error {
	var nested any = value
	parts := strings.Split(key, ".")
	for _, part := range slices.Backward(parts) {
		nested = map[string]any{part: nested}
	}
	return writeJSONFile(filepath.Join(a.folder, "config.json"), nested)
}

// delegated says that azd uses az's login.
func (a *azd) delegated() bool {
	var config struct {
		Auth struct{ UseAzCliAuth string }
	}
	raw, err := os.ReadFile(filepath.Join(a.folder, "config.json"))
	if err != nil || json.Unmarshal(raw, &config) != nil {
		return false
	}
	yes, _ := strconv.ParseBool(config.Auth.UseAzCliAuth)
	return yes
}

func (a *azd) login() error {
	home := a.flags["--tenant-id"]
	if clientID := a.flags["--client-id"]; clientID != "" {
		if _, err := askEntra(home, clientID, managementScope, url.Values{"grant_type": {"client_credentials"}, "client_secret": {a.flags["--client-secret"]}}); err != nil {
			return err
		}
		if err := writeJSONFile(a.secret(home, clientID), map[string]string{"clientSecret": a.flags["--client-secret"]}); err != nil {
			return err
		}
		return a.saveUser(&azdUser{ClientID: clientID, TenantID: home})
	}
	if home == "" {
		home = "organizations"
	}
	return withCache(a.tokens(), func(c *msalCache) error {
		user := a.flags["--username"]
		answer, err := askEntra(home, cliClient, managementScope+personal, url.Values{"grant_type": {"password"}, "username": {user}, "password": {a.flags["--password"]}, "client_info": {"1"}})
		if err != nil {
			return err
		}
		account, err := c.keep(answer, user, home, managementScope)
		if err != nil {
			return err
		}
		return a.saveUser(&azdUser{HomeAccountID: account})
	})
}

// user is who is signed in.
func (a *azd) user() (*azdUser, error) {
	var auth azdAuth
	raw, err := os.ReadFile(filepath.Join(a.folder, "auth.json"))
	if err == nil {
		err = json.Unmarshal(raw, &auth)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if auth.Auth.Account.CurrentUser == nil {
		return nil, errors.New("not logged in, run `azd auth login` to login")
	}
	return auth.Auth.Account.CurrentUser, nil
}

func (a *azd) logout() error {
	u, err := a.user()
	if err != nil {
		return nil // there is nothing to do
	}
	if u.ClientID != "" {
		if err := writeJSONFile(a.secret(u.TenantID, u.ClientID), map[string]string{}); err != nil {
			return err
		}
	}
	if err := withCache(a.tokens(), func(c *msalCache) error { c.forget(u.HomeAccountID); return nil }); err != nil {
		return err
	}
	return a.saveUser(nil)
}

func (a *azd) token() error {
	where, scope := a.flags["--tenant-id"], a.flags["--scope"]
	if a.delegated() {
		return a.delegate(where, scope)
	}
	u, err := a.user()
	if err != nil {
		return err
	}
	var token string
	var expires int64
	if u.ClientID != "" {
		var kept map[string]string
		raw, err := os.ReadFile(a.secret(u.TenantID, u.ClientID))
		if err == nil {
			err = json.Unmarshal(raw, &kept)
		}
		if err != nil {
			return fmt.Errorf("loading secret: %w: not logged in, run `azd auth login` to login", err)
		}
		if where == "" {
			where = u.TenantID
		}
		answer, err := askEntra(where, u.ClientID, scope, url.Values{"grant_type": {"client_credentials"}, "client_secret": {kept["clientSecret"]}})
		if err != nil {
			return fmt.Errorf("fetching token: %w", err)
		}
		token, expires = answer.AccessToken, time.Now().Unix()+answer.ExpiresIn
		return printAzdToken(token, expires)
	}
	err = withCache(a.tokens(), func(c *msalCache) (err error) {
		if where == "" {
			_, where, _ = strings.Cut(u.HomeAccountID, ".")
		}
		name := ""
		for _, e := range c.Account {
			if e["home_account_id"] == u.HomeAccountID {
				name = e["username"]
			}
		}
		if name == "" {
			return errors.New("not logged in, run `azd auth login` to login")
		}
		token, expires, err = c.silent(u.HomeAccountID, name, where, scope)
		return err
	})
	if err != nil {
		return fmt.Errorf("fetching token: %w", err)
	}
	return printAzdToken(token, expires)
}

// delegate asks az, by the same credential of azidentity that asks azd.
func (a *azd) delegate(tenant, scope string) error {
	command := "az account get-access-token -o json --resource " + strings.TrimSuffix(scope, "/.default")
	if tenant != "" {
		command += " --tenant " + tenant
	}
	var stderr bytes.Buffer
	run := exec.Command("/bin/sh", "-c", command)
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		return fmt.Errorf("fetching token: AzureCLICredential: %s", strings.TrimSpace(stderr.String()))
	}
	var answer struct {
		AccessToken string `json:"accessToken"`
		ExpiresOn   int64  `json:"expires_on"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return err
	}
	return printAzdToken(answer.AccessToken, answer.ExpiresOn)
}

func printAzdToken(token string, expires int64) error {
	return printJSON(map[string]string{"token": token, "expiresOn": time.Unix(expires, 0).UTC().Format(time.RFC3339)})
}
