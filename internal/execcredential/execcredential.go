// Package kube holds what Kubernetes says to an exec credential plugin and what it wants to read.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
package execcredential

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
)

// InfoVariable is the variable in which a client tells a plugin what it wants.
const InfoVariable = "KUBERNETES_EXEC_INFO"

const apiGroup = "client.authentication.k8s.io/"

// supportedVersions are the ones answered. Their ExecCredentials differ in nothing that is printed
// here, so v1's types serve both: importing a second package would cost every start of the program.
var supportedVersions = []string{apiGroup + "v1", apiGroup + "v1beta1"}

// defaultVersion is what a client that says nothing gets: the JavaScript client never does, and
// reads any.
const defaultVersion = apiGroup + "v1beta1"

// Info is what the client said about itself.
type Info struct {
	APIVersion  string // the version to answer in, never empty
	Interactive *bool  // whether a person may be asked; nil: the client does not say
}

// ParseInfo reads the value of KUBERNETES_EXEC_INFO. Empty means that there was none, and so does
// an empty apiVersion: the answer is then v1beta1. Cluster information is not looked at. A value
// that is not an ExecCredential or is one of a version that cannot be answered is an error, which
// repeats no more of it than apiVersion and kind.
func ParseInfo(value string) (Info, error) {
	var said struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       struct {
			Interactive *bool `json:"interactive"`
		} `json:"spec"`
	}
	if strings.TrimSpace(value) != "" {
		if err := json.Unmarshal([]byte(value), &said); err != nil {
			return Info{}, fmt.Errorf("%s is not an ExecCredential in JSON: %w", InfoVariable, err)
		}
	}
	if said.Kind != "" && said.Kind != "ExecCredential" {
		return Info{}, fmt.Errorf("%s is of kind %q, not ExecCredential", InfoVariable, said.Kind)
	}
	if said.APIVersion == "" {
		said.APIVersion = defaultVersion
	}
	if !slices.Contains(supportedVersions, said.APIVersion) {
		return Info{}, fmt.Errorf("%s asks for apiVersion %q; this program answers %s",
			InfoVariable, said.APIVersion, strings.Join(supportedVersions, " and "))
	}
	return Info{said.APIVersion, said.Spec.Interactive}, nil
}

// Write writes one JSON document and a newline, in one call. expires is when the client should ask
// again, in whole seconds and UTC as Kubernetes wants it; a fraction is cut off.
func Write(w io.Writer, apiVersion, token string, expires time.Time) error {
	out, err := json.Marshal(clientauthentication.ExecCredential{
		TypeMeta: metav1.TypeMeta{APIVersion: apiVersion, Kind: "ExecCredential"},
		Status: &clientauthentication.ExecCredentialStatus{
			Token:               token,
			ExpirationTimestamp: &metav1.Time{Time: expires},
		},
	})
	if err != nil {
		return err
	}
	_, err = w.Write(append(out, '\n'))
	return err
}

// IsSupported reports whether this program answers in the API version.
func IsSupported(apiVersion string) bool { return slices.Contains(supportedVersions, apiVersion) }
