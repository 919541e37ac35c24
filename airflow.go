package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/akslogin/akslogin/kube"
)

// connection is an Airflow connection as `airflow connections add --conn-json` and a variable take it. The kubeconfig in it is a string: as an
// object, deferrable tasks read it from provider 10.11.0 on only. in_cluster and empty fields are left out, because some versions of the
// provider take them for a choice, and then there is one too many.
// https://airflow.apache.org/docs/apache-airflow-providers-cncf-kubernetes/stable/connections/kubernetes.html
type connection struct {
	Type        string `json:"conn_type"`
	Description string `json:"description"`
	Extra       extras `json:"extra"`
}

type extras struct {
	KubeConfig string `json:"kube_config"`
	Namespace  string `json:"namespace,omitempty"`
}

func extrasOf(d kube.Document) (extras, error) {
	config, err := d.JSON()
	return extras{string(config), d.Namespace}, err
}

// airflowConnection is a connection in JSON, on one line.
func airflowConnection(d kube.Document) ([]byte, error) {
	e, err := extrasOf(d)
	if err != nil {
		return nil, err
	}
	return oneLine(connection{"kubernetes", "AKS cluster " + d.Name + ", login by akslogin", e})
}

// airflowVariable is the variable from which Airflow reads a connection, as a shell and an .env file take it. Nothing in its quotes ends them.
func airflowVariable(d kube.Document, id string) ([]byte, error) {
	c, err := airflowConnection(d)
	if err != nil {
		return nil, err
	}
	return []byte(connectionVariable(id) + "='" + strings.ReplaceAll(string(c), "'", `\u0027`) + "'"), nil
}

func connectionVariable(id string) string { return "AIRFLOW_CONN_" + strings.ToUpper(id) }

// airflowURI is a connection as a URI, for what takes no other form.
func airflowURI(d kube.Document) ([]byte, error) {
	e, err := extrasOf(d)
	if err != nil {
		return nil, err
	}
	raw, err := oneLine(e)
	if err != nil {
		return nil, err
	}
	value := strings.ReplaceAll(url.QueryEscape(string(raw)), "+", "%20") // a plus is a blank to some decoders only
	return []byte(airflowScheme + "/?__extra__=" + value), nil
}

func oneLine(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// airflowScheme begins a connection as a URI.
const airflowScheme = "kubernetes://"
