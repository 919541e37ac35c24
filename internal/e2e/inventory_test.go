package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	clientcmdapiv1 "k8s.io/client-go/tools/clientcmd/api/v1"
	"sigs.k8s.io/cluster-inventory-api/apis/v1alpha1"
	"sigs.k8s.io/cluster-inventory-api/pkg/access"

	"github.com/akslogin/akslogin/internal/entratest"
)

// testClusterProfiles checks that one exec config serves several ClusterProfiles, each with the
// identity that its own config names: with the library of controllers such as Kueue's.
func testClusterProfiles(t *testing.T, c *cluster) {
	w := c.newWorkload(t, "profiles")
	other := c.newWorkload(t, "other-profile")
	w.entra.Register(entratest.App{
		Tenant: c.tenant, ClientID: other.clientID(), ObjectID: other.objectID(),
		FederatedCredentials: []entratest.FederatedCredential{
			{Issuer: w.entra.Issuer, Subject: w.subject()},
		},
	})
	inventory := access.New([]access.Provider{{
		Name: "azure",
		ExecConfig: &clientcmdapi.ExecConfig{
			APIVersion:         "client.authentication.k8s.io/v1",
			Command:            program(t, "akslogin"),
			Args:               []string{"get-token"},
			Env:                w.execEnv(),
			ProvideClusterInfo: true,
		},
	}})
	for range 2 { // the second time from the cache
		for _, identity := range []*workload{w, other} {
			profile := c.profile(t, map[string]string{
				"tenantId": c.tenant, "clientId": identity.clientID(), "clusterName": "one",
			})
			if got := whoami(t, inventory, profile); got != identity.objectID() {
				t.Errorf("the user is %s, want %s", got, identity.objectID())
			}
		}
	}
	if n := w.entra.TokenRequests(); n != 2 {
		t.Errorf("%d token requests, want one for each identity", n)
	}
	wrong := c.profile(t, map[string]any{"tenantId": c.tenant, "clientId": 1})
	config, err := inventory.BuildConfigFromCP(wrong)
	if err != nil {
		t.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(config)
	if _, err := client.Discovery().ServerVersion(); err == nil {
		t.Error("a config of the wrong type logs in")
	}
}

// execEnv returns the workload's environment as an exec config has it.
func (w *workload) execEnv() (env []clientcmdapi.ExecEnvVar) {
	for _, line := range w.env() {
		name, value, _ := strings.Cut(line, "=")
		env = append(env, clientcmdapi.ExecEnvVar{Name: name, Value: value})
	}
	return env
}

// profile returns a ClusterProfile of the API server whose config for exec plugins is config.
func (c *cluster) profile(t *testing.T, config any) *v1alpha1.ClusterProfile {
	t.Helper()
	ca, err := os.ReadFile(c.file("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return &v1alpha1.ClusterProfile{Status: v1alpha1.ClusterProfileStatus{
		AccessProviders: []v1alpha1.AccessProvider{{
			Name: "azure",
			Cluster: clientcmdapiv1.Cluster{
				Server:                   c.address,
				CertificateAuthorityData: ca,
				Extensions: []clientcmdapiv1.NamedExtension{{
					Name:      "client.authentication.k8s.io/exec",
					Extension: runtime.RawExtension{Raw: raw},
				}},
			},
		}},
	}}
}

// whoami returns as whom the API server of a profile knows its client.
func whoami(t *testing.T, inventory *access.Config, profile *v1alpha1.ClusterProfile) string {
	t.Helper()
	config, err := inventory.BuildConfigFromCP(profile)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	review := &authenticationv1.SelfSubjectReview{}
	created, err := client.AuthenticationV1().SelfSubjectReviews().
		Create(t.Context(), review, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return created.Status.UserInfo.Username
}
