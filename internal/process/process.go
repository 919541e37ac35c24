// Package process asks the operating system about this process and sets its limits. It imports
// little, since internal/warmstart imports it.
package process
