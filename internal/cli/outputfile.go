package cli

import (
	"bytes"
	"fmt"
	"slices"
	"unicode"

	"github.com/akslogin/akslogin/internal/airflow"
	"github.com/akslogin/akslogin/internal/kubeconfig"
)

// overwrites tells what an old content has that a new one has not: another name, another variable,
// or what is neither a kubeconfig nor a connection.
func overwrites(file string, old, content []byte) string {
	if variable, _, found := bytes.Cut(content, []byte("='")); found {
		for line := range bytes.Lines(old) {
			if len(bytes.TrimSpace(line)) > 0 && !bytes.HasPrefix(line, append(variable, '=')) {
				return "other lines than " + string(variable)
			}
		}
		return ""
	}
	if prefix := []byte(
		airflow.UriScheme,
	); len(bytes.TrimSpace(old)) == 0 ||
		bytes.HasPrefix(content, prefix) && bytes.HasPrefix(old, prefix) {
		return ""
	}
	before, err := kubeconfig.Parse(file, old)
	if err != nil || len(entryNames(before)) == 0 && !bytes.HasPrefix(old, []byte(`{"conn_type"`)) {
		return "something else"
	}
	after, err := kubeconfig.Parse(file, content)
	if err != nil {
		return "a kubeconfig"
	}
	here := entryNames(after)
	for _, name := range entryNames(before) {
		if !slices.Contains(here, name) {
			return fmt.Sprintf("%q", name)
		}
	}
	return ""
}

// entryNames are those of a kubeconfig's contexts, clusters and users.
func entryNames(k *kubeconfig.File) (all []string) {
	for _, c := range k.Contexts {
		all = append(all, c.Name)
	}
	for _, c := range k.Clusters {
		all = append(all, c.Name)
	}
	for _, u := range k.Users {
		all = append(all, u.Name)
	}
	return all
}

// isInvisible tells of characters that show other text than a program reads. Those below U+0020 are
// escaped in JSON and YAML.
func isInvisible(c rune) bool {
	return unicode.IsControl(c) && c != '\n' || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp)
}
