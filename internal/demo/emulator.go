package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

// An emulator is a running entratest program, used as a person would use it.
type emulator struct {
	cmd *exec.Cmd
	env map[string]string // the variables that it printed
}

// startEmulator builds and starts the program, and waits for its environment.
func startEmulator() (*emulator, error) {
	cmd := exec.Command("go", "run", "./internal/entratest/cmd/entratest")
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	e := &emulator{cmd: cmd, env: map[string]string{}}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		definition, ok := strings.CutPrefix(lines.Text(), "export ")
		if !ok {
			return e, nil // the commands after the variables are for shells
		}
		name, quoted, _ := strings.Cut(definition, "=")
		e.env[name] = strings.ReplaceAll(strings.Trim(quoted, "'"), `'\''`, "'")
	}
	return nil, fmt.Errorf("entratest did not start: %w", cmd.Wait())
}

// traffic is what arrived at the emulator since the last reset.
type traffic struct {
	Requests    []string `json:"requests"`
	Connections int      `json:"connections"`
}

func (e *emulator) traffic() (t traffic, err error) {
	err = e.control(http.MethodGet, "/requests", &t)
	return t, err
}

func (e *emulator) resetCounters() error { return e.control(http.MethodDelete, "/requests", nil) }

// stop ends the program. It fails if an unexpected request arrived, which the program has printed.
func (e *emulator) stop() error {
	if err := e.control(http.MethodPost, "/shutdown", nil); err != nil {
		return err
	}
	if err := e.cmd.Wait(); err != nil {
		return fmt.Errorf("entratest: %w", err)
	}
	return nil
}

// control sends a request to the control listener and decodes its response into a value, if not
// nil.
func (e *emulator) control(method, path string, into any) error {
	request, err := http.NewRequest(method, e.env["ENTRATEST_CONTROL"]+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}
