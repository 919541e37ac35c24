// Akslogin is an exec credential plugin for AKS. It signs in to Microsoft Entra ID with the
// federated token of a pod or a CI job or by any other login method, caches the cluster's token
// encrypted on disk, and prints it as an ExecCredential.
package main

import (
	"os"

	"github.com/akslogin/akslogin/internal/cli"
	"github.com/akslogin/akslogin/internal/warmstart"
)

// When main starts, the initialization of package warmstart has already ended the program if an
// earlier run stored the answer to this one.
func main() { os.Exit(cli.Main(os.Args[1:], warmstart.Current())) }
