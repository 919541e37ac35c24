package token

// codesNoFederatedCredential are the AADSTS codes for a missing federated credential. Entra ID also
// answers with them for seconds or minutes after one is created
// (https://github.com/kedacore/keda/issues/8152).
var codesNoFederatedCredential = []int{70021, 700211, 700212, 700213}

// codesIssuerKeys are the codes for an issuer whose keys Entra ID cannot read, as far as reports
// say that the error can be temporary: https://github.com/Azure/AKS/issues/4029 and
// https://github.com/Azure/azure-workload-identity/issues/642. AADSTS90061 has the same text, but
// the reports about it are of issuers that stay unreachable.
var codesIssuerKeys = []int{50166, 501661}

// Hints that more than one code has.
const (
	throttledHint = "too many token requests. A working cache folder avoids most of them ({program} cache path)"

	outageHint = "{server} reports an internal problem; see https://status.azure.com if it lasts"

	serverIDHint = "server ID {audience} is not an application that Entra ID issues tokens for; leave --server-id out for AKS"
)

const (
	secondFactorHint = "the account {username} needs a second factor, or more than a password: " +
		"sign in with --login devicecode or interactive; programs use workloadidentity or spn"

	declinedHint = "the sign-in was not finished: run the command again, enter the code that it shows and accept"

	codeExpiredHint = "the code has expired: run the command again and enter the new one within 15 minutes"

	deviceHint = "a Conditional Access policy of tenant {tenant} requires another device or app: sign in with --login interactive or azurecli on a machine that the tenant manages; programs use workloadidentity or spn"

	deviceCodeHint = "a Conditional Access policy of tenant {tenant} refuses device codes, which do not say which device they are for, or refuses this login: sign in with --login interactive or azurecli on a device that the tenant manages; administrators find the policy in the sign-in log, by the correlation ID"

	tokenProtectionHint = "a Conditional Access policy of tenant {tenant} requires token protection, which a browser and a device code do not have: sign in with az on Windows (az login, which uses the system's account manager) and use --login azurecli, or ask administrators to exempt AKS; programs use workloadidentity or spn"

	confirmHint = "Entra ID asks the person to confirm the sign-in to this application: run the " +
		"command again and confirm in the browser; if there is no such page, sign in with " +
		"--login interactive or azurecli"

	wrongAccountHint = "the account that signed in does not belong to tenant {tenant}: sign in with another one, or have it invited there; compare --tenant-id with the cluster's tenant"

	publicClientHint = "for AKS people use client ID " + PublicClientID
)

const (
	noMatchingCredentialHint = "{client} needs a federated credential with exactly issuer {issuer} , subject {subject} and audience {assertion-audience} , as the federated token from {source} has them " +
		"(a trailing slash in the issuer counts){subject-note}; a new one takes some minutes to work"

	issuerKeysHint = "Entra ID could not read the signing keys of issuer {issuer}, which issued the federated token from {source}: they, and its .well-known/openid-configuration, must be reachable from the internet. If they are, the failure is temporary: try again"

	issuedByEntraHint = "the federated token from {source} was issued by Entra ID itself, which does not exchange tokens of this kind: use the one that the cluster or CI system issues"

	unknownClientHint = "client ID {client} is not a managed identity or application of tenant " +
		"{tenant}: compare both IDs with the identity's properties; the tenant must be the " +
		"identity's own"

	clientDisabledHint = "client ID {client} is disabled in tenant {tenant}: an administrator " +
		"must enable it"

	wrongSecretHint = "the {source} is not one of client ID {client}: copy the secret's value, " +
		"not its ID, and check that it was not deleted"

	otherCloudHint = "tenant {tenant} is in another cloud than {authority} : give --environment"

	ambiguousTenantHint = "Entra ID cannot tell which tenant is meant by {tenant}: give the tenant's ID with --tenant-id"

	consentHint = "client ID {client} has no consent for server ID {audience} in tenant {tenant}: " + publicClientHint

	conditionalAccessHint = "a Conditional Access policy of tenant {tenant} refuses this login with client ID {client}: administrators find the policy in the sign-in log, by the correlation ID"

	tenantRestrictionHint = "a proxy allows only some tenants (tenant restrictions), and " +
		"{tenant} is not one of them: the proxy's administrators must add it"

	crossTenantHint = "the cross-tenant access settings of tenant {tenant}, or of the account's " +
		"own tenant, refuse the login: their administrators must allow it"

	passwordExpiredHint = "the password of {username} has expired: change it in a browser"

	passThroughAgentHint = "the password of {username} is checked by pass-through authentication agents on premises, which do not answer: repair them, or log in by another method"
)

// aadstsHints maps an AADSTS code to a hint. Names in braces are placeholders: see Login.HintValues
// and hintValues. Most codes are documented at
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes; a test names the
// source of the others. Lines are long because this is a table.
var aadstsHints = map[int]string{
	// Federated tokens.
	70021:   noMatchingCredentialHint,
	700211:  noMatchingCredentialHint,
	700212:  noMatchingCredentialHint,
	700213:  noMatchingCredentialHint,
	7002138: noMatchingCredentialHint + ". Capital and small letters count",
	700024:  "the federated token from {source} expired at {expires} (it is {now}): the kubelet or CI system that writes it must renew it, or this machine's clock is wrong",
	70023:   "the lifetime of the federated token from {source} is too long for an exchange: use the one projected for {exchange-audience} , not the service account's default token",
	700027:  "the signature of the federated token from {source} is not one of issuer {issuer} : the issuer's keys have changed, or the token is from another cluster",
	700222:  issuedByEntraHint,
	700231:  issuedByEntraHint,
	700236:  "{client} is registered in another tenant than the managed identity that it trusts, which Entra ID does not allow: register it in the identity's tenant, as a multi-tenant application, and have an administrator of tenant {tenant} add it there: az ad sp create --id CLIENT_ID",
	700229:  issuedByEntraHint,
	50013:   issuerKeysHint,
	50027:   "Entra ID cannot read the federated token from {source}: compare it with what its issuer gave",
	50166:   issuerKeysHint,
	501661:  issuerKeysHint,
	90061:   issuerKeysHint,

	// Applications and managed identities.
	50012:   "client ID {client} does not accept the {source}: add it to the application",
	70001:   unknownClientHint,
	70002:   wrongSecretHint,
	700011:  unknownClientHint,
	700016:  unknownClientHint,
	700025:  "client ID {client} is a public client, for people, and has no secret or certificate: give the client ID of a managed identity or of an application of your own",
	700030:  "the {source} has a name that client ID {client} does not trust: compare it with the application's",
	7000112: clientDisabledHint,
	7000215: wrongSecretHint,
	7000222: "the {source} has expired: make a new one for client ID {client}, or use a federated credential, which does not expire",
	7000229: "client ID {client} has no service principal in tenant {tenant}: an administrator makes one with: az ad sp create --id CLIENT_ID",

	// Tenants and clouds.
	50002:   tenantRestrictionHint,
	50059:   ambiguousTenantHint,
	50128:   ambiguousTenantHint,
	50194:   "client ID {client} is for one tenant only: give its ID with --tenant-id",
	90002:   "there is no tenant {tenant} at {authority} : check the ID, and --environment for another cloud than Azure's public one",
	90019:   ambiguousTenantHint,
	90038:   otherCloudHint,
	90051:   otherCloudHint,
	100007:  "this login does not work at a regional address: unset $AZURE_REGIONAL_AUTHORITY_NAME and $MSAL_FORCE_REGION",
	500021:  tenantRestrictionHint,
	500022:  tenantRestrictionHint,
	500212:  crossTenantHint,
	500213:  crossTenantHint,
	900023:  "{tenant} is neither a tenant's ID nor one of its domain names",
	900382:  otherCloudHint,
	900432:  otherCloudHint,
	9001023: ambiguousTenantHint,
	50049:   "Microsoft does not know {authority}: if it is a private cloud's and you trust it, give --disable-instance-discovery",

	// Audiences.
	50001:   serverIDHint,
	70011:   serverIDHint,
	500011:  "server ID {audience} is not known in tenant {tenant}: leave --server-id out for AKS, and see that the tenant is the cluster's",
	650057:  consentHint,
	1002012: serverIDHint,

	// Policies.
	50105:  "the account is not assigned to client ID {client} in tenant {tenant}: an administrator must assign it, or " + publicClientHint,
	50005:  deviceHint,
	50199:  confirmHint,
	53000:  deviceHint,
	53001:  deviceHint,
	53002:  deviceHint,
	53003:  conditionalAccessHint,
	53011:  conditionalAccessHint,
	50097:  deviceHint,
	50131:  conditionalAccessHint,
	530003: deviceHint,
	530032: conditionalAccessHint,
	530033: deviceHint,
	530034: conditionalAccessHint,
	530035: conditionalAccessHint,
	530084: tokenProtectionHint,
	65001:  consentHint,
	65002:  consentHint,
	650056: consentHint,
	90094:  consentHint,

	// Accounts of people.
	50011:   "client ID {client} does not allow http://localhost as a redirect URL: " + publicClientHint,
	50014:   wrongAccountHint,
	50020:   wrongAccountHint,
	50034:   "there is no user {username} in tenant {tenant}: compare both, and --environment",
	50053:   "the account {username} is locked for a while, after too many wrong passwords or because of where they came from",
	50055:   passwordExpiredHint,
	50056:   "the account {username} has no password: sign in with --login devicecode or interactive",
	50057:   "the account {username} is disabled in tenant {tenant}: an administrator must enable it",
	50072:   secondFactorHint,
	50074:   secondFactorHint,
	50076:   secondFactorHint,
	50078:   secondFactorHint,
	50079:   secondFactorHint,
	50126:   "the user name {username} or the password is wrong",
	50144:   passwordExpiredHint,
	50158:   secondFactorHint,
	51004:   wrongAccountHint,
	65004:   declinedHint,
	70016:   declinedHint,
	70018:   declinedHint,
	70019:   codeExpiredHint,
	70020:   codeExpiredHint,
	80001:   passThroughAgentHint,
	80002:   passThroughAgentHint,
	90072:   wrongAccountHint,
	7000218: "client ID {client} is a confidential client, which needs a secret or certificate, and not one for people: " + publicClientHint,

	// Temporary failures.
	50033: outageHint,
	50196: throttledHint,
	90006: outageHint,
	90012: outageHint,
	90024: outageHint,
	90033: outageHint,
	90055: throttledHint,
}
