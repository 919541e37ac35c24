package entratest

import (
	"encoding/base64"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A grant is one way to a token. Its file declares it, and [New] puts it under its grant_type.
type grant struct {
	parameters    []string // that may be in the form, grant_type included
	sharedTenants bool     // people of every tenant may use it, at the shared endpoints too
	// check looks at the request as Entra does and fills in its app and resource; the code of a
	// refusal, or 0.
	check func(*Server, *tokenRequest) int
}

// tenantCheck fills in the tenant. The shared endpoints are no tenants: an app-only token always
// belongs to one, and a person's to his own.
func tenantCheck(people bool) func(*Server, *tokenRequest) int {
	return func(s *Server, t *tokenRequest) int {
		switch {
		case people && isSharedTenant(t.requestedTenant):
			return 0
		case isSharedTenant(t.requestedTenant), t.requestedTenant == "consumers":
			return 50059
		}
		id, name, ok := s.findTenant(t.requestedTenant)
		if !ok {
			return 90002
		}
		t.tenant = id
		t.placeholders["tenant"] = name
		return 0
	}
}

type checks = []func(*Server, *tokenRequest) int

// popParameters ask for a token that is bound to a key.
var popParameters = []string{"req_cnf", "token_type"}

// checkPublicClient finds the app that a person uses. It is one that keeps no secret.
func checkPublicClient(s *Server, t *tokenRequest) int {
	clientID := t.form.Get("client_id")
	if clientID == "" {
		t.placeholders["parameter"] = "client_id"
		return 900144
	}
	ok, multiTenant := false, true
	if t.tenant == "" {
		t.app, multiTenant, ok = s.findSharedApp(clientID)
	} else {
		t.app, ok = s.findApp(t.tenant, clientID)
	}
	switch {
	case !ok:
		return 700016
	case !multiTenant:
		return 50194
	case !t.app.Public:
		return 7000218
	}
	return 0
}

// checkDelegatedScope fills in the resource that a person's scope names, where the tenant is known.
func checkDelegatedScope(s *Server, t *tokenRequest) int {
	if t.form.Get("scope") == "" {
		t.placeholders["parameter"] = "scope"
		return 900144
	}
	resource := ""
	for _, scope := range resourceScopes(t.form.Get("scope")) {
		named, permission, _ := cutLast(scope, "/")
		if permission != ".default" && permission != "user_impersonation" ||
			resource != "" && named != resource {
			t.placeholders["scope"] = t.form.Get("scope")
			return 70011
		}
		resource = named
	}
	if resource == "" {
		t.placeholders["scope"] = t.form.Get("scope")
		return 70011
	}
	if t.tenant == "" {
		return 0
	}
	var ok bool
	if t.resource, ok = s.findResource(t.tenant, resource); !ok {
		return 500011
	}
	return 0
}

// setUser fills in the person, and the tenant where the endpoint is a shared one.
func (s *Server) setUser(t *tokenRequest, name string) int {
	u, ok := s.findUser(name)
	switch {
	case !ok:
		return 50034
	case t.tenant != "" && t.tenant != u.Tenant:
		t.placeholders["home"] = u.Tenant
		return 50020
	}
	t.tenant, t.user = u.Tenant, &u
	_, t.placeholders["tenant"], _ = s.findTenant(u.Tenant)
	return u.AADSTS
}

// setUserByPassword is [Server.setUser] for somebody who knows the password.
func (s *Server) setUserByPassword(t *tokenRequest, name, password string) int {
	u, ok := s.findUser(name)
	if ok && u.Password != password {
		return 50126
	}
	return s.setUser(t, name)
}

// verifySignature verifies an assertion with a key.
func verifySignature(t *tokenRequest, method jwt.SigningMethod, key any) int {
	signed, signature, _ := cutLast(t.assertion.raw, ".")
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	if err == nil {
		err = method.Verify(signed, sig, key)
	}
	if err != nil {
		t.placeholders["reason"] = "The provided signature value did not match the expected signature value."
		return 700027
	}
	return 0
}

// checkValidNow gives no leeway: client and server share a clock here.
func checkValidNow(_ *Server, t *tokenRequest) int {
	if now, a := time.Now(), t.assertion; now.Before(a.validFrom) || !now.Before(a.expires) {
		return 700024
	}
	return 0
}
