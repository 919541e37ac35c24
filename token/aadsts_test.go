package token

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// documentedCodes are the codes in aadstsHints that Microsoft's list has, with the name that it
// gives them, so that the meaning can be compared.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
var documentedCodes = map[int]string{
	50001: "InvalidResource", 50002: "NotAllowedTenant", 50011: "InvalidReplyTo", 50012: "AuthenticationFailed", 50013: "InvalidAssertion", 50014: "GuestUserInPendingState",
	50020: "UserUnauthorized", 50027: "InvalidJwtToken", 50033: "RetryableError", 50034: "UserAccountNotFound", 50049: "NoSuchInstanceForDiscovery", 50053: "IdsLocked",
	50055: "InvalidPasswordExpiredPassword", 50056: "Invalid or null password", 50057: "UserDisabled", 50059: "MissingTenantRealmAndNoUserInformationProvided",
	50072: "UserStrongAuthEnrollmentRequiredInterrupt", 50074: "UserStrongAuthClientAuthNRequiredInterrupt", 50076: "UserStrongAuthClientAuthNRequired", 50078: "UserStrongAuthExpired",
	50079: "UserStrongAuthEnrollmentRequired", 50097: "DeviceAuthenticationRequired", 50105: "EntitlementGrantsNotFound", 50126: "InvalidUserNameOrPassword", 50128: "Invalid domain name",
	50131: "ConditionalAccessFailed", 50144: "InvalidPasswordExpiredOnPremPassword", 50158: "ExternalSecurityChallenge", 50194: "not configured as a multitenant application",
	50196: "LoopDetected", 51004: "UserAccountNotInDirectory", 53000: "DeviceNotCompliant", 53001: "DeviceNotDomainJoined", 53002: "ApplicationUsedIsNotAnApprovedApp",
	53003: "BlockedByConditionalAccess", 53011: "User blocked due to risk on home tenant", 65001: "DelegationDoesNotExist", 65002: "Consent between first party application and resource",
	65004: "UserDeclinedConsent", 70001: "UnauthorizedClient", 70002: "InvalidClient", 70011: "InvalidScope", 70016: "AuthorizationPending", 70018: "BadVerificationCode", 70019: "CodeExpired",
	80001: "OnPremiseStoreIsNotAvailable", 80002: "OnPremisePasswordValidatorRequestTimedout", 90002: "InvalidTenantName", 90006: "ExternalServerRetryableError", 90012: "RequestTimeout",
	90019: "MissingTenantRealm", 90024: "RequestBudgetExceededError", 90033: "MsodsServiceUnavailable", 90038: "NationalCloudTenantRedirection", 90051: "InvalidNationalCloudId",
	90055: "TenantThrottlingError", 90072: "PassThroughUserMfaError", 90094: "AdminConsentRequired", 100007: "Regional ONLY supports",
	500011: "InvalidResourceServicePrincipalNotFound", 500021: "tenant restriction", 500022: "tenant restriction", 500212: "NotAllowedByOutboundPolicyTenant", 500213: "NotAllowedByInboundPolicyTenant",
	530032: "BlockedByConditionalAccessOnSecurityPolicy", 530034: "DelegatedAdminBlockedDueToSuspiciousActivity", 530035: "BlockedBySecurityDefaults",
	650056: "Misconfigured application", 650057: "Invalid resource", 700011: "UnauthorizedClientAppNotFoundInOrgIdTenant", 700016: "UnauthorizedClient_DoesNotMatchRequest",
	700025: "InvalidClientPublicClientWithCredential", 700027: "Client assertion failed signature validation", 700030: "Invalid certificate", 700229: "ForbiddenTokenType",
	900382: "Confidential Client isn't supported in Cross Cloud request", 900432: "Confidential Client isn't supported in Cross Cloud request", 9001023: "not supported over the /common or /consumers endpoints",
	7000112: "UnauthorizedClientApplicationDisabled", 7000215: "Invalid client secret", 7000218: "must contain client_assertion or client_secret", 7000222: "InvalidClientSecretExpiredKeysProvided",
}

// reportedCodes are the other codes in aadstsHints, with where somebody showed Entra ID's sentence.
var reportedCodes = map[int]string{
	50166:   "https://github.com/Azure/azure-workload-identity/issues/642",
	70020:   "https://github.com/Azure/azure-sdk-for-python/issues/32375",
	70021:   "https://github.com/Azure/azure-workload-identity/issues/340",
	70023:   "https://github.com/MicrosoftDocs/azure-docs/issues/116275",
	90061:   "https://github.com/Azure/azure-workload-identity/issues/605",
	501661:  "https://github.com/Azure/AKS/issues/4029",
	700024:  "https://github.com/Azure/login/issues/180",
	700211:  "https://github.com/Azure/azure-workload-identity/issues/1200",
	700212:  "https://github.com/kedacore/keda/issues/8152",
	700213:  "https://github.com/Azure/login/issues/482",
	700222:  "https://github.com/MicrosoftDocs/azure-docs/issues/90276",
	900023:  "https://github.com/caddy-dns/azure/issues/3",
	1002012: "https://github.com/microsoftgraph/msgraph-sdk-python/issues/181",
	7000229: "https://github.com/Azure/Commercial-Marketplace-SaaS-Accelerator/issues/830",
	7002138: "https://github.com/Azure/login/issues/517",
}

func TestAADSTSCodesHaveSource(t *testing.T) {
	for code := range aadstsHints {
		if (documentedCodes[code] == "") == (reportedCodes[code] == "") {
			t.Errorf("AADSTS%d is to be in one of the lists", code)
		}
	}
	for _, known := range []map[int]string{documentedCodes, reportedCodes} {
		for code := range known {
			if aadstsHints[code] == "" {
				t.Errorf("AADSTS%d is in a list, and has no hint", code)
			}
		}
	}
}

// Each hint of a code that a method can meet is filled by that method's own facts, and short enough
// for a line.
func TestHintPlaceholdersAreFilled(t *testing.T) {
	const people, applications, federated = "devicecode interactive ropc", "spn workloadidentity azurepipelines", "workloadidentity azurepipelines"
	only := map[string][]int{
		"ropc":       {50034, 50053, 50055, 50056, 50057, 50072, 50074, 50076, 50078, 50079, 50126, 50144, 50158, 80001, 80002},
		federated:    {50013, 50027, 50166, 501661, 70021, 70023, 90061, 700024, 700027, 700211, 700212, 700213, 700222, 700229, 7002138},
		"spn":        {50012, 70002, 700030, 7000215, 7000222},
		applications: {700025},
		"devicecode": {70016, 70018, 70019, 70020},
		people:       {50011, 50014, 50020, 50105, 51004, 53000, 53001, 53002, 65004, 90072, 7000218},
	}
	meets := map[int]string{}
	for methods, codes := range only {
		for _, code := range codes {
			meets[code] = methods
		}
	}
	for _, name := range strings.Fields(people + " " + applications) {
		m, _ := MethodByName(name)
		r := Request{Login: name, TenantID: "11111111-aaaa-4444-8888-000000000001", ClientID: "22222222-bbbb-4444-8888-000000000001", ClientSecret: "secret-of-a-client", Username: "alice@contoso.example", Password: "password-of-alice",
			From: map[string]string{"tenant-id": "$AAD_SERVICE_PRINCIPAL_CLIENT_ID", "client-id": "$AAD_SERVICE_PRINCIPAL_CLIENT_ID", "username": "$AAD_USER_PRINCIPAL_NAME"}}
		w := Options{Getenv: func(string) string { return "" }}.withDefaults()
		wr, err := newClient(m, r, w)
		if err != nil {
			t.Fatal(err)
		}
		wr.LastOutcome.ServerURL = wr.Authority
		login := Login{}
		switch {
		case strings.Contains(federated, name):
			login.HintValues = func() map[string]string {
				facts := assertionHintValues(tokentest.SecretToken, r)
				maps.Copy(facts, map[string]string{"source": "/var/run/secrets/azure/tokens/azure-identity-token (--federated-token-file)", "issuer": "https://eastus.oic.prod-aks.azure.com/" + r.TenantID + "/" + r.ClientID + "/",
					"subject": "system:serviceaccount:" + strings.Repeat("n", 63) + ":" + strings.Repeat("s", 63), "assertion-audience": "api://AzureADTokenExchange"})
				return facts
			}
		default:
			login, err = m.Open(r, w, wr)
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, code := range slices.Sorted(maps.Keys(aadstsHints)) {
			if methods, some := meets[code]; some && !slices.Contains(strings.Fields(methods), name) {
				continue
			}
			e := &exchangeError{r, hintValues(r, w, login, wr), nil, &entra.Refusal{HTTPStatus: 400, AADSTS: code, OAuthError: "invalid_request", Description: "s"}}
			said := Explain(e)
			if said.Hint == "" || strings.Contains(said.Hint, unknownValue) || strings.ContainsAny(said.Hint, "{}") || strings.HasSuffix(said.Hint, "…") {
				t.Errorf("%s, AADSTS%d: %q", name, code, said.Hint)
			}
		}
	}
}
