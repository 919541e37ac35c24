package kubeconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Document is a whole kubeconfig for one cluster: one cluster, one user, and the context that joins
// them.
type Document struct {
	Name      string         // of all three
	Cluster   map[string]any // the cluster's fields, as Cluster has them
	Namespace string         // the context's; may be empty
	Exec      Exec           // how the user logs in
}

// The document in the order in which it is written.
type (
	docConfig struct {
		APIVersion     string       `json:"apiVersion"`
		Kind           string       `json:"kind"`
		CurrentContext string       `json:"current-context"`
		Clusters       []docCluster `json:"clusters"`
		Contexts       []docContext `json:"contexts"`
		Users          []docUser    `json:"users"`
	}
	docCluster struct {
		Name    string         `json:"name"`
		Cluster map[string]any `json:"cluster"`
	}
	docContext struct {
		Name    string `json:"name"`
		Context struct {
			Cluster   string `json:"cluster"`
			User      string `json:"user"`
			Namespace string `json:"namespace,omitempty"`
		} `json:"context"`
	}
	docUser struct {
		Name string `json:"name"`
		User struct {
			Exec docExec `json:"exec"`
		} `json:"user"`
	}
	docExec struct {
		APIVersion         string   `json:"apiVersion"`
		Command            string   `json:"command"`
		Args               []string `json:"args"`
		Env                []docEnv `json:"env,omitempty"`
		InteractiveMode    string   `json:"interactiveMode"`
		ProvideClusterInfo bool     `json:"provideClusterInfo"`
		InstallHint        string   `json:"installHint,omitempty"`
	}
	docEnv struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

func (d Document) toConfig() docConfig {
	e := d.Exec
	context := docContext{Name: d.Name}
	context.Context.Cluster, context.Context.User, context.Context.Namespace = d.Name, d.Name, d.Namespace
	user := docUser{Name: d.Name}
	user.User.Exec = docExec{
		APIVersion:         e.APIVersion,
		Command:            e.Command,
		Args:               append([]string{}, e.Args...),
		InteractiveMode:    e.InteractiveMode,
		ProvideClusterInfo: e.ProvideClusterInfo != nil && *e.ProvideClusterInfo,
		InstallHint:        e.InstallHint,
	}
	for _, v := range e.Env {
		user.User.Exec.Env = append(user.User.Exec.Env, docEnv(v))
	}
	return docConfig{
		APIVersion:     "v1",
		Kind:           "Config",
		CurrentContext: d.Name,
		Clusters: []docCluster{
			{d.Name, d.Cluster},
		},
		Contexts: []docContext{context},
		Users:    []docUser{user},
	}
}

// JSON writes the document on one line, without a line break at its end. Readers of YAML read it
// too. An error means a cluster's field that JSON cannot hold.
func (d Document) JSON() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d.toConfig()); err != nil {
		return nil, fmt.Errorf("kubeconfig of %q: %w", d.Name, err)
	}
	return escapeForYAML(bytes.TrimSuffix(out.Bytes(), []byte("\n"))), nil
}

// escapeForYAML writes as \uXXXX what JSON allows inside a string and YAML, which Airflow reads it
// as, does not.
func escapeForYAML(raw []byte) []byte {
	var out bytes.Buffer
	for _, c := range string(raw) {
		if 0x7f <= c && c < 0xa0 || c == '\ufeff' || c == '\ufffe' || c == '\uffff' {
			fmt.Fprintf(&out, `\u%04x`, c)
			continue
		}
		out.WriteRune(c)
	}
	return out.Bytes()
}

// YAML writes the document as people like to read it. Strings that some reader could take for
// something else are quoted, and all arguments and variables are: Python runs no command with an
// argument that is a number.
func (d Document) YAML() ([]byte, error) {
	raw, err := d.JSON()
	if err != nil {
		return nil, err
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(
		raw,
		&tree,
	); err != nil { // JSON is YAML, and keeps the order that a map would lose
		return nil, fmt.Errorf("kubeconfig of %q: %w", d.Name, err)
	}
	if err := toBlockStyle(&tree, false); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(&tree); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// quotedLists are the lists whose strings are always quoted.
var quotedLists = []string{"args", "env"}

// toBlockStyle lays out what was JSON in YAML's own way, and leaves quotes where quoted says so or
// where the encoder wants them.
func toBlockStyle(n *yaml.Node, quoted bool) error {
	switch n.Kind {
	case yaml.ScalarNode:
		if quoted || n.Tag != "!!str" {
			return nil
		}
		return n.Encode(
			n.Value,
		) // the encoder knows more words that old readers take for a bool than it looks for in a Node
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			list := value.Kind == yaml.SequenceNode && slices.Contains(quotedLists, key.Value)
			if err := errors.Join(
				toBlockStyle(value, quoted || list),
				toBlockStyle(key, false),
			); err != nil {
				return err
			}
		}
	default:
		for _, child := range n.Content {
			if err := toBlockStyle(child, quoted); err != nil {
				return err
			}
		}
	}
	n.Style = 0
	return nil
}
