package token

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/akslogin/akslogin/token/internal/entra"
	"github.com/akslogin/akslogin/token/internal/tokentest"
)

// documentedCodes are the codes in aadstsHints that Microsoft documents, with the name or a part of
// the description from there, for comparison with the hint.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
var documentedCodes = map[int]string{
	50001:   "InvalidResource",
	50002:   "NotAllowedTenant",
	50005:   "DevicePolicyError",
	50011:   "InvalidReplyTo",
	50012:   "AuthenticationFailed",
	50013:   "InvalidAssertion",
	50014:   "GuestUserInPendingState",
	50020:   "UserUnauthorized",
	50027:   "InvalidJwtToken",
	50033:   "RetryableError",
	50034:   "UserAccountNotFound",
	50049:   "NoSuchInstanceForDiscovery",
	50053:   "IdsLocked",
	50055:   "InvalidPasswordExpiredPassword",
	50056:   "Invalid or null password",
	50057:   "UserDisabled",
	50059:   "MissingTenantRealmAndNoUserInformationProvided",
	50072:   "UserStrongAuthEnrollmentRequiredInterrupt",
	50074:   "UserStrongAuthClientAuthNRequiredInterrupt",
	50076:   "UserStrongAuthClientAuthNRequired",
	50078:   "UserStrongAuthExpired",
	50079:   "UserStrongAuthEnrollmentRequired",
	50097:   "DeviceAuthenticationRequired",
	50105:   "EntitlementGrantsNotFound",
	50126:   "InvalidUserNameOrPassword",
	50128:   "Invalid domain name",
	50131:   "ConditionalAccessFailed",
	50144:   "InvalidPasswordExpiredOnPremPassword",
	50158:   "ExternalSecurityChallenge",
	50194:   "not configured as a multitenant application",
	50196:   "LoopDetected",
	50199:   "CmsiInterrupt",
	51004:   "UserAccountNotInDirectory",
	53000:   "DeviceNotCompliant",
	53001:   "DeviceNotDomainJoined",
	53002:   "ApplicationUsedIsNotAnApprovedApp",
	53003:   "BlockedByConditionalAccess",
	53011:   "User blocked due to risk on home tenant",
	65001:   "DelegationDoesNotExist",
	65002:   "Consent between first party application and resource",
	65004:   "UserDeclinedConsent",
	70001:   "UnauthorizedClient",
	70002:   "InvalidClient",
	70011:   "InvalidScope",
	70016:   "AuthorizationPending",
	70018:   "BadVerificationCode",
	70019:   "CodeExpired",
	80001:   "OnPremiseStoreIsNotAvailable",
	80002:   "OnPremisePasswordValidatorRequestTimedout",
	90002:   "InvalidTenantName",
	90006:   "ExternalServerRetryableError",
	90012:   "RequestTimeout",
	90019:   "MissingTenantRealm",
	90024:   "RequestBudgetExceededError",
	90033:   "MsodsServiceUnavailable",
	90038:   "NationalCloudTenantRedirection",
	90051:   "InvalidNationalCloudId",
	90055:   "TenantThrottlingError",
	90072:   "PassThroughUserMfaError",
	90094:   "AdminConsentRequired",
	100007:  "Regional ONLY supports",
	500011:  "InvalidResourceServicePrincipalNotFound",
	500021:  "tenant restriction",
	500022:  "tenant restriction",
	500212:  "NotAllowedByOutboundPolicyTenant",
	500213:  "NotAllowedByInboundPolicyTenant",
	530032:  "BlockedByConditionalAccessOnSecurityPolicy",
	530034:  "DelegatedAdminBlockedDueToSuspiciousActivity",
	530035:  "BlockedBySecurityDefaults",
	650056:  "Misconfigured application",
	650057:  "Invalid resource",
	700011:  "UnauthorizedClientAppNotFoundInOrgIdTenant",
	700016:  "UnauthorizedClient_DoesNotMatchRequest",
	700025:  "InvalidClientPublicClientWithCredential",
	700027:  "Client assertion failed signature validation",
	700030:  "Invalid certificate",
	700229:  "ForbiddenTokenType",
	900382:  "Confidential Client isn't supported in Cross Cloud request",
	900432:  "Confidential Client isn't supported in Cross Cloud request",
	9001023: "not supported over the /common or /consumers endpoints",
	7000112: "UnauthorizedClientApplicationDisabled",
	7000215: "Invalid client secret",
	7000218: "must contain client_assertion or client_secret",
	7000222: "InvalidClientSecretExpiredKeysProvided",
}

// reportedCodes are the other codes in aadstsHints, each with a report that quotes Entra ID's
// message.
var reportedCodes = map[int]string{
	50166:   "https://github.com/Azure/azure-workload-identity/issues/642",
	70020:   "https://github.com/Azure/azure-sdk-for-python/issues/32375",
	70021:   "https://github.com/Azure/azure-workload-identity/issues/340",
	70023:   "https://github.com/MicrosoftDocs/azure-docs/issues/116275",
	90061:   "https://github.com/Azure/azure-workload-identity/issues/605",
	501661:  "https://github.com/Azure/AKS/issues/4029",
	530003:  "https://github.com/Azure/azure-cli/issues/29282",
	530033:  "https://github.com/Azure/azure-cli/issues/27919",
	530084:  "https://github.com/Azure/azure-dev/issues/7704",
	700024:  "https://github.com/Azure/login/issues/180",
	700211:  "https://github.com/Azure/azure-workload-identity/issues/1200",
	700212:  "https://github.com/kedacore/keda/issues/8152",
	700213:  "https://github.com/Azure/login/issues/482",
	700231:  "https://github.com/Azure/azure-workload-identity/issues/1363",
	700236:  "https://learn.microsoft.com/answers/questions/2139753/aadsts700236-entra-id-tokens-issued-by-issuer-http",
	700222:  "https://github.com/MicrosoftDocs/azure-docs/issues/90276",
	900023:  "https://github.com/caddy-dns/azure/issues/3",
	1002012: "https://github.com/microsoftgraph/msgraph-sdk-python/issues/181",
	7000229: "https://github.com/Azure/Commercial-Marketplace-SaaS-Accelerator/issues/830",
	7002138: "https://github.com/Azure/login/issues/517",
}

func TestAADSTSCodesHaveSource(t *testing.T) {
	for code := range aadstsHints {
		if (documentedCodes[code] == "") == (reportedCodes[code] == "") {
			t.Errorf("AADSTS%d: name its source in documentedCodes, or else a report in reportedCodes", code)
		}
	}
	for _, codes := range []map[int]string{documentedCodes, reportedCodes} {
		for code := range codes {
			if aadstsHints[code] == "" {
				t.Errorf("AADSTS%d is in a list but has no hint", code)
			}
		}
	}
}

// A method fills all placeholders in the hints for the codes that it can receive, and the hint then
// fits on a line.
func TestHintPlaceholdersAreFilled(t *testing.T) {
	const (
		federated    = "workloadidentity azurepipelines federatedmsi"
		applications = "spn " + federated
		people       = "devicecode interactive ropc"
	)
	receivers := map[int]string{} // code -> methods that can receive it; all if it is missing
	for methods, codes := range map[string][]int{
		"ropc":       {50034, 50053, 50055, 50056, 50057, 50072, 50074, 50076, 50078, 50079, 50126, 50144, 50158, 80001, 80002},
		federated:    {50013, 50027, 50166, 501661, 70021, 70023, 90061, 700024, 700027, 700211, 700212, 700213, 700222, 700229, 700231, 700236, 7002138},
		"spn":        {50012, 70002, 700030, 7000215, 7000222},
		applications: {700025},
		"devicecode": {70016, 70018, 70019, 70020},
		people:       {50005, 50199, 530003, 530033, 530084, 50011, 50014, 50020, 50105, 51004, 53000, 53001, 53002, 65004, 90072, 7000218},
	} {
		for _, code := range codes {
			receivers[code] = methods
		}
	}
	for _, name := range strings.Fields(people + " " + applications) {
		r := Request{
			Login:        name,
			TenantID:     "11111111-aaaa-4444-8888-000000000001",
			ClientID:     "22222222-bbbb-4444-8888-000000000001",
			ClientSecret: "secret-of-a-client",
			ViaClientID:  "22222222-bbbb-4444-8888-000000000002",
			Username:     "alice@contoso.example",
			Password:     "password-of-alice",
			From: map[string]string{
				"tenant-id": "$AAD_SERVICE_PRINCIPAL_CLIENT_ID",
				"client-id": "$AAD_SERVICE_PRINCIPAL_CLIENT_ID",
				"username":  "$AAD_USER_PRINCIPAL_NAME",
			},
		}
		values := testHintValues(t, r, slices.Contains(strings.Fields(federated), name))
		for code := range aadstsHints {
			methods, limited := receivers[code]
			if limited && !slices.Contains(strings.Fields(methods), name) {
				continue
			}
			refusal := &entra.Refusal{
				HTTPStatus: 400, AADSTS: code, OAuthError: "invalid_request", Description: "s",
			}
			hint := Explain(&exchangeError{r, values, refusal}).Hint
			if hint == "" || strings.Contains(hint, unknownValue) ||
				strings.ContainsAny(hint, "{}") || strings.HasSuffix(hint, "…") {
				t.Errorf("%s, AADSTS%d: %q", name, code, hint)
			}
		}
	}
}

// testHintValues returns the values for hints after a failed exchange for r.
func testHintValues(t *testing.T, r Request, federated bool) map[string]string {
	t.Helper()
	m, _ := MethodByName(r.Login)
	opts := Options{Getenv: func(string) string { return "" }}.withDefaults()
	client, err := newClient(m, r, opts)
	if err != nil {
		t.Fatal(err)
	}
	client.LastOutcome.ServerURL = client.Authority
	if !federated {
		login, err := m.Open(r, opts, client)
		if err != nil {
			t.Fatal(err)
		}
		return hintValues(r, opts, login, client)
	}
	issuer := "https://eastus.oic.prod-aks.azure.com/" + r.TenantID + "/" + r.ClientID + "/"
	longName := strings.Repeat("n", 63)
	return hintValues(r, opts, Login{HintValues: func() map[string]string {
		values := assertionHintValues(tokentest.SecretToken, r)
		maps.Copy(values, map[string]string{
			"source":             "/var/run/secrets/azure/tokens/azure-identity-token (--federated-token-file)",
			"issuer":             issuer,
			"subject":            "system:serviceaccount:" + longName + ":" + longName,
			"assertion-audience": "api://AzureADTokenExchange",
		})
		return values
	}}, client)
}
