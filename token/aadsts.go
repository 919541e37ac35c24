package token

// codesNoFederatedCredential: Entra ID knows no federated credential that matches. It also says so,
// for seconds or minutes, of one that is there (https://github.com/kedacore/keda/issues/8152).
var codesNoFederatedCredential = []int{70021, 700211, 700212, 700213}

const (
	throttledHint = "too many tokens are asked for. A cache folder that works saves most of them (akslogin cache path)"

	outageHint = "{asked} has trouble. See https://status.azure.com if it lasts"

	serverIDHint = "server ID {audience} is not one that a token can be had for; leave --server-id out for AKS"
)

const (
	secondFactorHint = "the account {username} wants a second factor, or more than a password: sign in with --login devicecode or interactive; programs use workloadidentity or spn"

	declinedHint = "the sign-in was not finished: run the command again, enter the code that it shows and agree"

	codeExpiredHint = "the code has expired: run the command again and enter the new one within a quarter of an hour"

	deviceHint = "a Conditional Access policy of tenant {tenant} wants another device or app: sign in with --login interactive on a machine that the tenant manages; programs use workloadidentity or spn"

	wrongAccountHint = "the account that signed in is not one of tenant {tenant}: sign in with another one, or have it invited there; compare --tenant-id with the cluster's tenant"

	publicClientHint = "for AKS people use client ID " + PublicClientID
)

const (
	noMatchingCredentialHint = "{client} needs a federated credential with exactly issuer {issuer} , subject {subject} and audience {assertion-audience} , as the federated token from {source} has them " +
		"(a slash at the issuer's end counts); scheduler, worker and triggerer need one each; a new one takes some minutes to work"

	issuerKeysHint = "Entra ID could not read the keys of issuer {issuer}, who issued the federated token from {source}: they must be reachable from the internet. Where they are it passes, so try again"

	issuedByEntraHint = "the federated token from {source} was issued by Entra ID itself, of a kind that it does not exchange: use the one that the cluster or CI system issues"

	unknownClientHint = "client ID {client} is no managed identity or application of tenant {tenant}: compare both IDs with the identity's properties; the tenant must be the identity's own"

	clientDisabledHint = "client ID {client} is switched off in tenant {tenant}: an administrator has to enable it"

	wrongSecretHint = "the {source} is not one of client ID {client}: copy the secret's value, not its ID, and see that it was not deleted"

	otherCloudHint = "tenant {tenant} is in another cloud than {authority} : give --environment"

	ambiguousTenantHint = "Entra ID cannot tell which tenant is meant by {tenant}: give the tenant's ID with --tenant-id"

	consentHint = "nobody has allowed client ID {client} to be used for server ID {audience} in tenant {tenant}: " + publicClientHint

	conditionalAccessHint = "a Conditional Access policy of tenant {tenant} refuses this login with client ID {client}: its administrators find which in the sign-in log, by the correlation ID"

	tenantRestrictionHint = "a proxy on the way allows some tenants only, and {tenant} is none of them (tenant restrictions): its administrators have to add it"

	crossTenantHint = "the cross-tenant access settings of tenant {tenant}, or of the account's own tenant, refuse it: their administrators have to allow it"

	passwordExpiredHint = "the password of {username} has expired: change it in a browser"

	passThroughAgentHint = "the password of {username} is checked by agents at home, which do not answer: see to them, or log in by another method"
)

// aadstsHints say what to do, by AADSTS code. In braces are facts: see Login.Facts and facts.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes has most of the codes; a test says from where the others are known.
var aadstsHints = map[int]string{
	// Federated tokens.
	70021:   noMatchingCredentialHint,
	700211:  noMatchingCredentialHint,
	700212:  noMatchingCredentialHint,
	700213:  noMatchingCredentialHint,
	7002138: noMatchingCredentialHint + ". Capital and small letters count",
	700024:  "the federated token from {source} was good until {expires} and it is {now} here: whoever writes it must renew it (the kubelet does for a pod), or this machine's clock is wrong",
	70023:   "the federated token from {source} lives too long to be exchanged: use the one projected for {wanted} , not the service account's default token",
	700027:  "the signature of the federated token from {source} is not one of issuer {issuer} : the issuer's keys have changed, or the token is from another cluster",
	700222:  issuedByEntraHint,
	700229:  issuedByEntraHint,
	50013:   issuerKeysHint,
	50027:   "Entra ID cannot read the federated token from {source}: compare it with what its issuer gave",
	50166:   issuerKeysHint,
	501661:  issuerKeysHint,
	90061:   issuerKeysHint,

	// Applications and managed identities.
	50012:   "the {source} is not one that client ID {client} may log in with: add it to the application",
	70001:   unknownClientHint,
	70002:   wrongSecretHint,
	700011:  unknownClientHint,
	700016:  unknownClientHint,
	700025:  "client ID {client} is an application for people, and proves itself by nothing: give the client ID of a managed identity or of an application of your own",
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
	100007:  "this login is not for regional addresses: unset $AZURE_REGIONAL_AUTHORITY_NAME and $MSAL_FORCE_REGION",
	500021:  tenantRestrictionHint,
	500022:  tenantRestrictionHint,
	500212:  crossTenantHint,
	500213:  crossTenantHint,
	900023:  "{tenant} is neither a tenant's ID nor one of its domain names",
	900382:  otherCloudHint,
	900432:  otherCloudHint,
	9001023: ambiguousTenantHint,
	50049:   "Microsoft does not know {authority}: if it is a private cloud's and you trust it, give --disable-instance-discovery",

	// What the token is for.
	50001:   serverIDHint,
	70011:   serverIDHint,
	500011:  "server ID {audience} is not known in tenant {tenant}: leave --server-id out for AKS, and see that the tenant is the cluster's",
	650057:  consentHint,
	1002012: serverIDHint,

	// Policies.
	50105:  "nobody has assigned the account to client ID {client} in tenant {tenant}: an administrator has to, or " + publicClientHint,
	53000:  deviceHint,
	53001:  deviceHint,
	53002:  deviceHint,
	53003:  conditionalAccessHint,
	53011:  conditionalAccessHint,
	50097:  deviceHint,
	50131:  conditionalAccessHint,
	530032: conditionalAccessHint,
	530034: conditionalAccessHint,
	530035: conditionalAccessHint,
	65001:  consentHint,
	65002:  consentHint,
	650056: consentHint,
	90094:  consentHint,

	// People.
	50011:   "client ID {client} does not allow http://localhost as a redirect URL: " + publicClientHint,
	50014:   wrongAccountHint,
	50020:   wrongAccountHint,
	50034:   "there is no user {username} in tenant {tenant}: compare both, and --environment",
	50053:   "the account {username} is locked for a while, after too many wrong passwords or because of where they came from",
	50055:   passwordExpiredHint,
	50056:   "the account {username} has no password: sign in with --login devicecode or interactive",
	50057:   "the account {username} is switched off in tenant {tenant}",
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
	7000218: "client ID {client} is an application that proves itself with a secret or certificate, and not one for people: " + publicClientHint,

	// What passes.
	50033: outageHint,
	50196: throttledHint,
	90006: outageHint,
	90012: outageHint,
	90024: outageHint,
	90033: outageHint,
	90055: throttledHint,
}
