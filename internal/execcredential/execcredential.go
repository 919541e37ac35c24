// Package execcredential implements the plugin's side of the Kubernetes exec credential protocol:
// it parses what a client passes to the plugin and writes what the client reads.
//
// It supports client.authentication.k8s.io/v1 and v1beta1. It reads no environment variables and
// writes only to the writer that it is given.
//
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
package execcredential

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
)

// InfoVariable is the environment variable in which a client passes an ExecCredential in JSON to
// the plugin.
const InfoVariable = "KUBERNETES_EXEC_INFO"

const apiGroup = "client.authentication.k8s.io/"

// supportedVersions are the API versions that Write supports. The fields that it writes are the
// same in both, so the types of v1 serve for both. Importing a second package would slow down every
// start of the program.
var supportedVersions = []string{apiGroup + "v1", apiGroup + "v1beta1"}

// defaultVersion is for clients that name no version. The JavaScript client never names one, and
// reads any.
const defaultVersion = apiGroup + "v1beta1"

// Info is what the client tells the plugin.
type Info struct {
	APIVersion  string // API version of the response, with its group; one of the supported versions
	Interactive *bool  // whether the plugin may use standard input; nil if the client does not say

	// Server and Config are of the cluster, if the exec config has provideClusterInfo. Config is
	// the extension client.authentication.k8s.io/exec of the kubeconfig's cluster, of any shape.
	Server string
	Config json.RawMessage
}

// ParseInfo parses the value of InfoVariable. An empty value means that the variable is not set. If
// the value or its apiVersion is empty, the response is in v1beta1. Cluster information that does
// not have the form that Kubernetes documents is ignored.
//
// A value that is not an ExecCredential in JSON is an error, and so is an API version that is not
// supported. Errors quote nothing of the value but its apiVersion and kind.
func ParseInfo(value string) (Info, error) {
	var credential struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       struct {
			Interactive *bool           `json:"interactive"`
			Cluster     json.RawMessage `json:"cluster"`
		} `json:"spec"`
	}
	var cluster struct {
		Server string          `json:"server"`
		Config json.RawMessage `json:"config"`
	}
	if strings.TrimSpace(value) != "" {
		if err := json.Unmarshal([]byte(value), &credential); err != nil {
			return Info{}, fmt.Errorf("%s is not an ExecCredential in JSON: %w", InfoVariable, err)
		}
	}
	if kind := credential.Kind; kind != "" && kind != "ExecCredential" {
		return Info{}, fmt.Errorf("%s is of kind %q, not ExecCredential", InfoVariable, kind)
	}
	version := cmp.Or(credential.APIVersion, defaultVersion)
	if !slices.Contains(supportedVersions, version) {
		return Info{}, fmt.Errorf("%s asks for apiVersion %q; this program supports %s",
			InfoVariable, version, strings.Join(supportedVersions, " and "))
	}
	if credential.Spec.Cluster != nil {
		_ = json.Unmarshal(credential.Spec.Cluster, &cluster)
	}
	return Info{version, credential.Spec.Interactive, cluster.Server, cluster.Config}, nil
}

// Write writes an ExecCredential with a bearer token as one line of JSON, in a single call of
// w.Write. apiVersion is one from Info. expires is the time at which the client should run the
// plugin again; it is written in UTC, and fractions of a second are cut off.
//
// An error that is not of w means that nothing was written.
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

// IsSupported reports whether this program can answer in the API version.
func IsSupported(apiVersion string) bool { return slices.Contains(supportedVersions, apiVersion) }
