// Package process is what this program asks of the system about itself. It imports little: every
// start initialises it first.
package process
