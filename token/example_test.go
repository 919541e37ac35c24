package token_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/akslogin/akslogin/token"
)

// Get gets a token with a pod's federated token and caches it. The second call sends no request.
// Programs leave Getenv out, and then the environment is their own.
func ExampleGet() {
	pod := startPod() // with an emulated Entra ID
	defer pod.stop()

	// No value is given by a flag: all of them come from variables and defaults.
	explicit := func(flag string) bool { return false }
	request, err := token.Request{}.Resolve(explicit, pod.getenv)
	if err != nil {
		fmt.Println(token.Explain(err).Text)
		return
	}
	opts := token.Options{
		Getenv: pod.getenv,
		Store: func(secret []byte, inputs []string) token.Store {
			entry, err := pod.dir.Entry(secret, inputs...)
			if err != nil {
				return nil // and not entry: a nil *cache.Entry would be a Store that is not nil
			}
			return entry
		},
	}
	for range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), request.Timeout)
		tok, err := token.Get(ctx, request, opts)
		cancel()
		if err != nil {
			fmt.Println(token.Explain(err).Text)
			return
		}
		fmt.Println("expires in", time.Until(tok.Expires).Round(time.Minute))
	}
	fmt.Println("requests:", pod.server.TokenRequests())
	// Output:
	// expires in 1h0m0s
	// expires in 1h0m0s
	// requests: 1
}

// A Refusal in an error of Get says why Entra ID issued no token.
func ExampleGet_refusal() {
	pod := startPod()
	defer pod.stop()

	request := token.Request{
		Login:              "workloadidentity",
		ClientID:           "22222222-bbbb-4444-8888-00000000000f",
		TenantID:           pod.getenv("AZURE_TENANT_ID"),
		FederatedTokenFile: pod.getenv("AZURE_FEDERATED_TOKEN_FILE"),
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := token.Get(ctx, request, token.Options{Getenv: pod.getenv})
	var refusal *token.Refusal
	if errors.As(err, &refusal) {
		fmt.Println(refusal.HTTPStatus, refusal.OAuthError, refusal.AADSTS)
	}
	fmt.Println("has a hint:", token.Explain(err).Hint != "")
	// Output:
	// 400 unauthorized_client 700016
	// has a hint: true
}

// Resolve completes a request from the environment, and From says where each value comes from. A
// value that the program gives wins over a variable of the Azure SDKs.
func ExampleRequest_Resolve() {
	env := map[string]string{
		"AZURE_CLIENT_ID":            "22222222-bbbb-4444-8888-000000000001",
		"AZURE_TENANT_ID":            "11111111-aaaa-4444-8888-000000000001",
		"AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/azure/tokens/azure-identity-token",
	}
	given := token.Request{ClientID: "22222222-bbbb-4444-8888-000000000002"}
	explicit := func(flag string) bool { return flag == "client-id" }
	r, err := given.Resolve(explicit, func(name string) string { return env[name] })
	if err != nil {
		fmt.Println(token.Explain(err).Text)
		return
	}
	fmt.Println(r.Login, "from", r.From["login"])
	fmt.Println(r.ClientID, "from", r.From["client-id"])
	fmt.Println(r.TenantID, "from", r.From["tenant-id"])
	// Output:
	// workloadidentity from the default
	// 22222222-bbbb-4444-8888-000000000002 from --client-id
	// 11111111-aaaa-4444-8888-000000000001 from $AZURE_TENANT_ID
}

// Explain turns any error into two lines for people and an exit status. An invalid request fails
// before anything is sent.
func ExampleExplain() {
	_, err := token.Get(context.Background(), token.Request{
		Login:    "workloadidentity",
		ClientID: "22222222-bbbb-4444-8888-000000000001",
		TenantID: "contoso",
	}, token.Options{})
	e := token.Explain(err)
	fmt.Println(e.Text)
	fmt.Println(e.Exit == token.ExitUsage)

	var usage *token.UsageError
	fmt.Println(errors.As(err, &usage))
	// Output:
	// tenant "contoso" is not a tenant ID and not a domain name
	// true
	// true
}

// ReportedExpiry is the expiry for a client such as client-go, which uses a token until the very
// second that it was told.
func ExampleToken_ReportedExpiry() {
	now := time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC)
	tok := token.Token{Value: "t", Obtained: now, Expires: now.Add(time.Hour)}
	fmt.Println(tok.ReportedExpiry(now).Format(time.RFC3339))
	// Output: 2030-01-02T03:59:00Z
}

// Diagnose examines a login step by step, as akslogin doctor does.
func ExampleDiagnose() {
	pod := startPod()
	defer pod.stop()

	request := token.Request{
		Login:              "workloadidentity",
		ClientID:           pod.getenv("AZURE_CLIENT_ID"),
		TenantID:           pod.getenv("AZURE_TENANT_ID"),
		FederatedTokenFile: pod.getenv("AZURE_FEDERATED_TOKEN_FILE"),
	}
	d := token.Diagnose(request, token.Options{Getenv: pod.getenv})
	findings := d.CheckLogin()
	_, exchange := d.CheckExchange(context.Background())
	for _, f := range append(findings, exchange...) {
		fmt.Println(f.Status, f.Check)
	}
	// Output:
	// ok login method
	// ok federated token
	// info federated credential
	// ok exchange
	// ok access token
}
