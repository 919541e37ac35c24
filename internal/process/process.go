// Package process asks the operating system about this process and sets its limits. It imports
// little, since internal/warmstart imports it.
package process

import (
	"os"
	"strings"
)

// Name returns the name that this program was called by, without its path and ".exe". Text that
// tells somebody to run this program uses it: installed as kubelogin alone, there is no akslogin. A
// name with other characters than letters, digits, ".", "-" and "_" counts as akslogin.
func Name() string {
	name := ""
	if len(os.Args) > 0 {
		name = os.Args[0]
	}
	return nameOf(name)
}

func nameOf(path string) string {
	name := path[strings.LastIndexAny(path, `/\`)+1:]
	if end := len(name) - len(".exe"); end > 0 && strings.EqualFold(name[end:], ".exe") {
		name = name[:end]
	}
	isOther := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(".-_", c)
	}
	if name == "" || name[0] == '-' || strings.ContainsFunc(name, isOther) {
		return "akslogin"
	}
	return name
}
