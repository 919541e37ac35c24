package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/akslogin/akslogin/cache/sealed"
)

// cliClient is the client ID of the Azure CLI, which azd uses too.
const cliClient = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

const entraHost = "login.microsoftonline.com"

// tokenResponse is a response of the token endpoint.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	IDToken      string `json:"id_token"`
	ClientInfo   string `json:"client_info"`
	Description  string `json:"error_description"`
}

// requestToken sends a grant to the token endpoint. A refusal is an error with Entra ID's
// description.
func requestToken(tenant, clientID, scope string, grant url.Values) (a tokenResponse, err error) {
	form := url.Values{"client_id": {clientID}, "scope": {scope}}
	maps.Copy(form, grant)
	resp, err := http.PostForm("https://"+entraHost+"/"+tenant+"/oauth2/v2.0/token", form)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return a, err
	}
	if a.Description != "" {
		return a, cliErrorf("%s", a.Description)
	}
	return a, nil
}

// userScopes are the scopes that MSAL adds to a user's request.
const userScopes = " openid profile offline_access"

// An msalCache is the cache file of an MSAL library. az has Python's and azd has Go's, in the same
// format.
type msalCache struct {
	path         string
	AccessToken  map[string]map[string]string
	Account      map[string]map[string]string
	IdToken      map[string]map[string]string
	RefreshToken map[string]map[string]string
	AppMetadata  map[string]map[string]string
}

// updateMSALCache changes a cache file while holding its lock. A missing file counts as empty.
func updateMSALCache(path string, change func(*msalCache) error) error {
	lock, err := os.OpenFile(path+".lockfile", os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := sealed.Lock(lock, true); err != nil {
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
	for _, section := range []*map[string]map[string]string{
		&c.AccessToken, &c.Account, &c.IdToken, &c.RefreshToken, &c.AppMetadata,
	} {
		if *section == nil {
			*section = map[string]map[string]string{}
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

// storeAccount stores a token response for a user, and returns the ID of the user's account.
func (c *msalCache) storeAccount(a tokenResponse, user, tenant, scope string) (string, error) {
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
	c.Account[home+"-"+entraHost+"-"+tenant] = map[string]string{
		"home_account_id": home, "environment": entraHost, "realm": tenant,
		"local_account_id": info.UID, "username": user, "authority_type": "MSSTS",
	}
	c.AppMetadata["appmetadata-"+entraHost+"-"+cliClient] = map[string]string{
		"client_id": cliClient, "environment": entraHost, "family_id": "1",
	}
	if a.RefreshToken != "" {
		c.RefreshToken[refreshKey(home)] = map[string]string{
			"home_account_id": home, "environment": entraHost, "client_id": cliClient,
			"credential_type": "RefreshToken", "secret": a.RefreshToken, "family_id": "1",
		}
	}
	if a.IDToken != "" {
		c.IdToken[home+"-"+entraHost+"-idtoken-"+cliClient+"-"+tenant+"-"] = map[string]string{
			"home_account_id": home, "environment": entraHost, "client_id": cliClient,
			"credential_type": "IdToken", "secret": a.IDToken, "realm": tenant,
		}
	}
	c.storeAccessToken(a, home, cliClient, tenant, scope)
	return home, nil
}

func (c *msalCache) storeAccessToken(a tokenResponse, home, clientID, tenant, scope string) {
	now := time.Now().Unix()
	c.AccessToken[accessKey(home, clientID, tenant, scope)] = map[string]string{
		"home_account_id": home, "environment": entraHost, "client_id": clientID,
		"credential_type": "AccessToken", "secret": a.AccessToken, "token_type": "Bearer",
		"realm": tenant, "target": scope,
		"cached_at":  strconv.FormatInt(now, 10),
		"expires_on": strconv.FormatInt(now+a.ExpiresIn, 10),
	}
}

func accessKey(home, clientID, tenant, scope string) string {
	parts := []string{home, entraHost, "accesstoken", clientID, tenant, scope}
	return strings.ToLower(strings.Join(parts, "-"))
}

func refreshKey(home string) string {
	return home + "-" + entraHost + "-refreshtoken-" + cliClient + "--"
}

// accessToken returns a cached access token. Like MSAL it wants one with more than five minutes
// left.
func (c *msalCache) accessToken(
	home, clientID, tenant, scope string,
) (token string, expires int64, ok bool) {
	e := c.AccessToken[accessKey(home, clientID, tenant, scope)]
	expires, err := strconv.ParseInt(e["expires_on"], 10, 64)
	return e["secret"], expires, err == nil && expires > testOptions().now().Unix()+300
}

// acquireSilently returns an access token for a user who has signed in: a cached one, or one for
// the refresh token.
func (c *msalCache) acquireSilently(
	home, user, tenant, scope string,
) (token string, expires int64, err error) {
	if token, expires, ok := c.accessToken(home, cliClient, tenant, scope); ok {
		return token, expires, nil
	}
	refresh := c.RefreshToken[refreshKey(home)]["secret"]
	if refresh == "" {
		return "", 0, errors.New("no refresh token")
	}
	a, err := requestToken(tenant, cliClient, scope+userScopes, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_info": {"1"},
	})
	if err != nil {
		return "", 0, err
	}
	if _, err := c.storeAccount(a, user, tenant, scope); err != nil {
		return "", 0, err
	}
	return a.AccessToken, time.Now().Unix() + a.ExpiresIn, nil
}

// removeAccount removes an account and its tokens.
func (c *msalCache) removeAccount(home string) {
	isOfAccount := func(_ string, e map[string]string) bool { return e["home_account_id"] == home }
	maps.DeleteFunc(c.AccessToken, isOfAccount)
	maps.DeleteFunc(c.Account, isOfAccount)
	maps.DeleteFunc(c.IdToken, isOfAccount)
	maps.DeleteFunc(c.RefreshToken, isOfAccount)
}

// account returns the ID of the account of a user name.
func (c *msalCache) account(user string) (home string, ok bool) {
	for _, e := range c.Account {
		if strings.EqualFold(e["username"], user) {
			return e["home_account_id"], true
		}
	}
	return "", false
}
