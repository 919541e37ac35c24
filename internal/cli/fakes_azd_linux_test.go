package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
		return cliErrorf("ERROR: unknown command %q for \"azd\"", strings.Join(words, " "))
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

func (a *azd) tokenCachePath() string { return filepath.Join(a.folder, "auth", "msal", "cache.json") }

func (a *azd) secretPath(tenant, clientID string) string {
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

func (a *azd) configure(key, value string) error {
	var nested any = value
	parts := strings.Split(key, ".")
	for _, part := range slices.Backward(parts) {
		nested = map[string]any{part: nested}
	}
	return writeJSONFile(filepath.Join(a.folder, "config.json"), nested)
}

// delegatesToAz says that azd uses az's login.
func (a *azd) delegatesToAz() bool {
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
		if err := writeJSONFile(a.secretPath(home, clientID), map[string]string{"clientSecret": a.flags["--client-secret"]}); err != nil {
			return err
		}
		return a.saveUser(&azdUser{ClientID: clientID, TenantID: home})
	}
	if home == "" {
		home = "organizations"
	}
	return updateMSALCache(a.tokenCachePath(), func(c *msalCache) error {
		user := a.flags["--username"]
		answer, err := askEntra(home, cliClient, managementScope+personalScopes, url.Values{"grant_type": {"password"}, "username": {user}, "password": {a.flags["--password"]}, "client_info": {"1"}})
		if err != nil {
			return err
		}
		account, err := c.storeAccount(answer, user, home, managementScope)
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
		if err := writeJSONFile(a.secretPath(u.TenantID, u.ClientID), map[string]string{}); err != nil {
			return err
		}
	}
	if err := updateMSALCache(a.tokenCachePath(), func(c *msalCache) error { c.removeAccount(u.HomeAccountID); return nil }); err != nil {
		return err
	}
	return a.saveUser(nil)
}

func (a *azd) token() error {
	where, scope := a.flags["--tenant-id"], a.flags["--scope"]
	if a.delegatesToAz() {
		return a.tokenFromAz(where, scope)
	}
	u, err := a.user()
	if err != nil {
		return err
	}
	var token string
	var expires int64
	if u.ClientID != "" {
		var kept map[string]string
		raw, err := os.ReadFile(a.secretPath(u.TenantID, u.ClientID))
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
	err = updateMSALCache(a.tokenCachePath(), func(c *msalCache) (err error) {
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
		token, expires, err = c.acquireSilently(u.HomeAccountID, name, where, scope)
		return err
	})
	if err != nil {
		return fmt.Errorf("fetching token: %w", err)
	}
	return printAzdToken(token, expires)
}

// tokenFromAz asks az, by the same credential of azidentity that asks azd.
func (a *azd) tokenFromAz(tenant, scope string) error {
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
