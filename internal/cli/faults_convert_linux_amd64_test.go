package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const (
	oldKubeconfig = "users:\n- name: first\n  user: {exec: {command: kubelogin, args: [get-token]}}\n"
	appendedUser  = "- name: appended\n  user: {token: x}\n"
)

// runConvert converts a kubeconfig in a new folder under a tracer. It returns the result, and the
// kubeconfig afterwards. Other files that remain in the folder are an error.
func runConvert(t *testing.T, decide func(kubeconfig string, c call) fault) (run tracedRun, content string, err error) {
	folder, err := os.MkdirTemp(t.TempDir(), "kubeconfig")
	if err != nil {
		return run, "", err
	}
	path := filepath.Join(folder, "config")
	if err := os.WriteFile(path, []byte(oldKubeconfig), 0o600); err != nil {
		return run, "", err
	}
	tr := tracer{folder, func(c call) fault { return decide(path, c) }}
	args := []string{"convert-kubeconfig", "--kubeconfig", path, "-l", "azd"}
	run, err = tr.run(programPath(t), args, []string{"HOME=" + folder})
	if err != nil {
		return run, "", err
	}
	if files, _ := os.ReadDir(folder); len(files) != 1 {
		err = fmt.Errorf("these remain: %v (status %#x, stderr %q)", files, run.status, run.stderr)
	}
	raw, readErr := os.ReadFile(path)
	return run, string(raw), errors.Join(err, readErr)
}

// convertFaults runs a conversion for each of its system calls.
func convertFaults(t *testing.T, check func(at call) error) {
	run, content, err := runConvert(t, func(string, call) fault { return fault{} })
	if err != nil || run.status != 0 || !strings.Contains(content, "azd") {
		t.Fatalf("%v, status %#x, stderr %q\n%s", err, run.status, run.stderr, content)
	}
	forEach(t, 2, run.calls, check)
}

// TestConvertSignaledAtEverySystemCall checks that a conversion that is ended leaves the old file
// or the new one, no lock and no temporary file.
func TestConvertSignaledAtEverySystemCall(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			convertFaults(t, func(at call) error {
				_, content, err := runConvert(t, func(_ string, c call) fault {
					if c == at {
						return fault{signal: signal}
					}
					return fault{}
				})
				if content != oldKubeconfig && !strings.Contains(content, "azd") {
					err = errors.Join(err, fmt.Errorf("the file is\n%s", content))
				}
				return err
			})
		})
	}
}

// TestConvertKeepsConcurrentChanges checks that a user stays that a program without the lock adds
// at any moment, by appending to the file or by replacing it.
func TestConvertKeepsConcurrentChanges(t *testing.T) {
	for name, change := range map[string]func(path string, old []byte) error{
		"append": func(path string, _ []byte) error {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString(appendedUser)
			return errors.Join(err, f.Close())
		},
		"replace": func(path string, old []byte) error {
			temp := path + ".other"
			err := os.WriteFile(temp, append(old, appendedUser...), 0o600)
			return errors.Join(err, os.Rename(temp, path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			convertFaults(t, func(at call) error {
				var changeErr error
				run, content, err := runConvert(t, func(path string, c call) fault {
					if c == at {
						old, err := os.ReadFile(path)
						changeErr = errors.Join(err, change(path, old))
					}
					return fault{}
				})
				if err := errors.Join(err, changeErr); err != nil {
					return err
				}
				if run.status != 0 || !strings.Contains(content, "azd") ||
					!strings.HasSuffix(content, appendedUser) {
					return fmt.Errorf("status %#x, stderr %q, the file is\n%s", run.status, run.stderr, content)
				}
				return nil
			})
		})
	}
}
