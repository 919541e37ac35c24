package entratest

import "time"

// A Workload is a pod that signs in with its service account's federated token.
type Workload struct {
	TenantID, ClientID string // GUIDs
	Subject            string // system:serviceaccount:NAMESPACE:NAME
	TokenFile          string // path of the federated token, a file named azure-identity-token

	// Env is HTTPS_PROXY and SSL_CERT_FILE, as NAME=value, which lead to the Server. The other
	// fields are not in it: a test chooses between flags and variables such as AZURE_TENANT_ID.
	Env []string
}

// NewWorkload registers an application with a federated credential for the workload's subject. It
// writes a federated token that expires after lifetime; Entra ID refuses more than 25 hours.
//
// Every call returns the same tenant, client and subject, with a token file of its own.
func (s *Server) NewWorkload(lifetime time.Duration) *Workload {
	w := &Workload{
		TenantID: "11111111-aaaa-4444-8888-000000000001",
		ClientID: "22222222-bbbb-4444-8888-000000000001",
		Subject:  "system:serviceaccount:airflow:worker",
		Env:      []string{"HTTPS_PROXY=" + s.ProxyURL, "SSL_CERT_FILE=" + s.CAFile},
	}
	s.Register(App{
		Tenant:               w.TenantID,
		ClientID:             w.ClientID,
		FederatedCredentials: []FederatedCredential{{Issuer: s.Issuer, Subject: w.Subject}},
	})
	federatedToken := s.Assertion(Claims{Subject: w.Subject, Expires: time.Now().Add(lifetime)})
	w.TokenFile = s.writeFile(s.tb.TempDir(), "azure-identity-token", []byte(federatedToken))
	return w
}
