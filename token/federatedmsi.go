package token

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/redact"
)

const federatedManagedIdentityName = "federatedmsi"

// federatedManagedIdentity logs in as an application whose credential is the token of a managed
// identity. That takes two requests: the first hop gets this token from the machine's metadata
// service, the second one exchanges it at Entra ID, in any tenant that has the application.
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
//
// A managed identity's token that was obtained with a federated token does not work here: Entra ID
// refuses it (AADSTS700231). https://github.com/Azure/azure-workload-identity/issues/1363
var federatedManagedIdentity = Method{
	Name:          federatedManagedIdentityName,
	About:         "an application that trusts a managed identity of a virtual machine or an Azure service, in other tenants too",
	Required:      []string{"client-id", "tenant-id", "via-client-id"},
	Optional:      slices.Concat(entraFlags, popFlags),
	IdentityFlags: []string{"client-id"},
	MissingHint:   "--client-id is the application, --tenant-id the cluster's tenant, and --via-client-id the user-assigned managed identity that the application trusts",
	Hints: map[int]string{
		70021:   trustIdentityHint,
		700211:  trustIdentityHint,
		700212:  trustIdentityHint,
		700213:  trustIdentityHint,
		7002138: trustIdentityHint,
		700016: "client ID {client} has no service principal in tenant {tenant}: an " +
			"administrator there creates one with: az ad sp create --id CLIENT_ID ; in another " +
			"tenant than its own, the application must be multi-tenant",
	},
	SealedWith: sealedWithUserKey,
	Stanza: Stanza{
		Flags:     slices.Concat(accountFlags, []string{"via-client-id", "authority-host"}, popFlags),
		Inherited: slices.Concat(accountFlags, popFlags),
	},
	Check: checkVia,
	Open:  openFederatedManagedIdentity,
}

const trustIdentityHint = "{client} needs a federated credential with exactly issuer {issuer} , subject {subject} (the managed identity's object ID) and audience {exchange-audience} ; a new one takes some minutes to work"

// firstHopHints replace the hints of the first hop's method, by AADSTS code.
var firstHopHints = map[int]string{
	500011: "the tenant of {identity} does not know {audience}, which is the audience in the " +
		"cloud that --environment or --authority-host names: name the cloud that this machine is " +
		"in",
}

func checkVia(r Request) error {
	switch {
	case r.ViaClientID != "" && !isApplicationID(r.ViaClientID, ".-_"):
		return usageErrorf(
			"client ID %q%s is not valid%s: copy it from the properties of the managed identity",
			r.ViaClientID, r.sourceNote("via-client-id"), oddCharacterNote(r.ViaClientID),
		)
	case strings.EqualFold(r.ViaClientID, r.ClientID):
		return &UsageError{
			Text: "--client-id and --via-client-id are the same: " + r.ClientID +
				r.sourceNote("client-id") + " , " + r.ViaClientID + r.sourceNote("via-client-id"),
			Hint: "--client-id is the application that trusts the managed identity; to log in as the identity itself, use --login msi",
		}
	}
	return nil
}

// checkNoVia refuses --via-client-id for the other login methods.
func (r Request) checkNoVia(m Method) error {
	if r.ViaClientID == "" || m.usesFlag("via-client-id") || r.isForAnotherLogin("via-client-id") ||
		strings.HasPrefix(r.From["via-client-id"], "$") {
		return nil
	}
	err := &UsageError{
		Text: "login " + m.Name + " does not use a managed identity as a first hop (--via-client-id)",
		Hint: "on a virtual machine or an Azure service, use --login federatedmsi",
	}
	if m.Detect != nil {
		err.Text += ": Entra ID refuses an identity's token that was itself obtained with a federated token (AADSTS700231)"
		err.Hint = "add a federated credential for the federated token itself to the application, and leave --via-client-id out; " + err.Hint
	}
	return err
}

// firstHop returns the request for the managed identity's token.
func (r Request) firstHop() Request {
	return Request{
		Login:      managedIdentity.Name,
		ClientID:   r.ViaClientID,
		ServerID:   r.exchangeAudience(),
		Timeout:    r.Timeout,
		From:       map[string]string{"client-id": r.From["via-client-id"], "timeout": r.From["timeout"]},
		isFirstHop: true,
	}
}

// hopNote says which of two requests r is, for the beginning of an error.
func (r Request) hopNote(m Method) string {
	switch {
	case r.isFirstHop:
		return "first of two hops: "
	case m.usesFlag("via-client-id"):
		return "second of two hops: "
	}
	return ""
}

// firstHop gets the managed identity's token for a login.
type firstHop struct {
	request   Request
	began     time.Time // when this process began to wait for others
	assertion string    // the token; "" until it has been received
}

// run gets the token, from the store or by a request of its own, unless it has it already.
func (h *firstHop) run(ctx context.Context, opts Options) error {
	if h.assertion != "" {
		return nil
	}
	// A failure that another process stored while this one waited for the second hop's lock is
	// this one's result too.
	opts.AlreadyWaited = func() time.Duration { return opts.Now().Sub(h.began) }
	opts.BeforeEarlyRefresh = func() {} // others wait for the second hop's token
	tok, err := managedIdentity.get(ctx, h.request, opts)
	if err != nil {
		return &firstHopError{err}
	}
	redact.Remember(tok.Value)
	h.assertion = tok.Value
	return nil
}

// firstHopError says that an exchange did not begin. The failure is stored in the first hop's entry
// and must not be stored in the second hop's, whose request was not sent.
type firstHopError struct{ error }

func (e *firstHopError) Unwrap() error { return e.error }

func openFederatedManagedIdentity(r Request, opts Options, client entra.Client) (Login, error) {
	first := &firstHop{request: r.firstHop(), began: opts.Now().Add(-opts.AlreadyWaited())}
	identity, err := openManagedIdentity(first.request, opts, entra.Client{})
	if err != nil {
		return Login{}, err
	}
	inputs := r.cacheInputs(client)
	for _, input := range identity.Inputs {
		inputs = append(inputs, "via "+input)
	}
	return Login{
		Secret:   identity.Secret,
		Inputs:   inputs,
		FirstHop: first,
		NewCredential: func(a attempt) (azcore.TokenCredential, error) {
			returnAssertion := func(context.Context) (string, error) { return first.assertion, nil }
			return clientCredential{assertion: returnAssertion}.tokenCredential(r, a)
		},
		HintValues: func() map[string]string {
			values := assertionHintValues(first.assertion, r)
			delete(values, "otherHint") // it is about the claim aud, which Entra ID translates
			values["assertion-audience"] = r.exchangeAudience()
			values["source"] = "the managed identity " + r.ViaClientID + r.sourceNote("via-client-id")
			return values
		},
	}, nil
}

// checkFirstHop gets the managed identity's token as get-token does, and stores nothing.
func (d *Diagnosis) checkFirstHop(ctx context.Context) Finding {
	const check = "first hop"
	opts := d.options
	opts.Store = nil
	if err := d.login.FirstHop.run(ctx, opts); err != nil {
		return ErrorFinding(check, err)
	}
	r := d.login.FirstHop.request
	return Finding{
		Status: StatusOK,
		Check:  check,
		Text: "the managed identity " + r.ClientID + r.sourceNote("client-id") +
			" has a token for " + r.ServerID + " ; it is not stored",
	}
}
