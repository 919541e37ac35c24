package cli

import (
	"fmt"

	"github.com/akslogin/akslogin/internal/entratest"
)

const clusterID = "/subscriptions/44444444-dddd-4444-8888-000000000001/resourceGroups/airflow" +
	"/providers/Microsoft.ContainerService/managedClusters/workers"

// aksKubeconfig is a kubeconfig as AKS returns it for format=exec. Its verb is part of the address
// of the cluster.
const aksKubeconfig = `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Y2VydGlmaWNhdGU=
    server: https://workers-%s.hcp.westeurope.azmk8s.io:443
  name: workers
contexts:
- context:
    cluster: workers
    user: clusterUser_airflow_workers
  name: workers
current-context: workers
kind: Config
preferences: {}
users:
- name: clusterUser_airflow_workers
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      args:
      - get-token
      - --environment
      - AzurePublicCloud
      - --server-id
      - 6dae42f8-4368-4678-94ff-3960e28e3630
      - --client-id
      - 80faf920-1908-4b52-b5ef-a8e7bedfc67a
      - --tenant-id
      - 11111111-aaaa-4444-8888-000000000001
      - --login
      - devicecode
      command: kubelogin
      env: null
      provideClusterInfo: false
`

// The tenants, applications and users that registerFixtures registers.
const (
	tenant      = "11111111-aaaa-4444-8888-000000000001"
	otherTenant = "11111111-aaaa-4444-8888-000000000002"

	client        = "22222222-bbbb-4444-8888-000000000001"
	otherClient   = "22222222-bbbb-4444-8888-000000000002"
	otherServerID = "33333333-cccc-4444-8888-000000000001"

	// The subjects of the clients' federated credentials.
	subject       = "system:serviceaccount:airflow:worker"
	gitHubSubject = "repo:akslogin/akslogin:ref:refs/heads/main"

	secret      = "aks8Q~secret-of-the-first-client-in-tests"
	otherSecret = "aks8Q~secret-of-the-other-client-in-tests"

	alice, bob    = "alice@contoso.example", "bob@contoso.example" // users of tenant
	carol         = "carol@fabrikam.example"                       // user of otherTenant
	password      = "Correct-Horse-Battery-1"
	otherPassword = "Correct-Horse-Battery-2" // bob's

	subscription      = "77777777-aaaa-4444-8888-000000000001"
	otherSubscription = "77777777-aaaa-4444-8888-000000000002"

	// The machine's system-assigned identity, and one that is assigned to it.
	machineIdentity    = "22222222-bbbb-4444-8888-000000000011"
	assignedIdentity   = "22222222-bbbb-4444-8888-000000000012"
	assignedObject     = "66666666-bbbb-4444-8888-000000000012"
	identityGroup      = "/subscriptions/" + subscription + "/resourceGroups/nodes/providers/"
	assignedIdentityID = identityGroup + "Microsoft.ManagedIdentity/userAssignedIdentities/worker"
)

// serviceConnection and otherConnection are service connections of Azure Pipelines.
var (
	serviceConnection = entratest.ServiceConnection{
		ID:           "99999999-aaaa-4444-8888-000000000001",
		Organization: "akslogin", Project: "akslogin", Name: "aks",
	}
	otherConnection = entratest.ServiceConnection{
		ID:           "99999999-aaaa-4444-8888-000000000002",
		Organization: "akslogin", Project: "akslogin", Name: "other",
	}
)

// registerFixtures registers what every script's emulator knows: applications, users, managed
// identities and a cluster.
func registerFixtures(s *entratest.Server) {
	trust := []entratest.FederatedCredential{
		{Issuer: s.Issuer, Subject: subject},
		{Issuer: s.Issuer, Subject: subject, Audience: "api://AzureADTokenExchangeUSGov"},
		{Issuer: "https://token.actions.githubusercontent.com", Subject: gitHubSubject},
		serviceConnection.FederatedCredential(), otherConnection.FederatedCredential(),
	}
	domains := map[string]string{tenant: "contoso.example"}
	secrets := map[string][]string{client: {secret}, otherClient: {otherSecret}}
	for _, t := range []string{tenant, otherTenant} {
		for _, c := range []string{client, otherClient} {
			s.Register(entratest.App{
				Tenant: t, TenantDomain: domains[t], ClientID: c,
				FederatedCredentials: trust,
				Secrets:              secrets[c],
				Certificates:         appCertificates()[c],
			})
		}
		s.RegisterResource(t, otherServerID)
	}
	s.RegisterUser(entratest.User{Tenant: tenant, Name: alice, Password: password})
	s.RegisterUser(entratest.User{Tenant: tenant, Name: bob, Password: otherPassword})
	s.RegisterUser(entratest.User{Tenant: otherTenant, Name: carol, Password: password})
	machineID := identityGroup + "Microsoft.Compute/virtualMachines/vm"
	s.AssignIdentity(entratest.ManagedIdentity{
		SystemAssigned: true,
		App: entratest.App{
			Tenant: tenant, ClientID: machineIdentity, ResourceID: machineID,
		},
	})
	s.AssignIdentity(entratest.ManagedIdentity{
		App: entratest.App{
			Tenant: tenant, ClientID: assignedIdentity, ObjectID: assignedObject,
			ResourceID: assignedIdentityID,
		},
	})
	s.RegisterCluster(entratest.Cluster{
		Tenant: tenant, ID: clusterID, Users: []string{client},
		Kubeconfig:       fmt.Sprintf(aksKubeconfig, "private"),
		PublicKubeconfig: fmt.Sprintf(aksKubeconfig, "public"),
	})
}
