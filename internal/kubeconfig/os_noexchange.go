//go:build !linux && !darwin

package kubeconfig

import "errors"

// exchange is not possible on this system.
func exchange(a, b string) error { return errors.ErrUnsupported }
