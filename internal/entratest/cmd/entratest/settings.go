package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/akslogin/akslogin/internal/entratest"
)

// A setting parses a value and returns the function that applies it.
type setting func(value string) (apply func(), err error)

// settingOf makes a setting of a parser and one of the setters of [entratest.Server].
func settingOf[T any](parse func(string) (T, error), set func(T)) setting {
	return func(value string) (func(), error) {
		parsed, err := parse(value)
		return func() { set(parsed) }, err
	}
}

func parseText(value string) (string, error) { return value, nil }

// findConnFault returns the connection fault of that name, nil for "".
func findConnFault(name string) (entratest.ConnFault, error) {
	fault := entratest.ConnFaults[name]
	if name != "" && fault == nil {
		known := strings.Join(slices.Sorted(maps.Keys(entratest.ConnFaults)), ", ")
		return nil, fmt.Errorf("connection fault %q not found; there are: %s", name, known)
	}
	return fault, nil
}

// knownSettings returns the settings of POST /settings by name.
func (c *control) knownSettings() map[string]setting {
	s, duration := c.server, time.ParseDuration
	hold := func(on bool) {
		if on {
			s.Hold()
		} else {
			s.Release()
		}
	}
	return map[string]setting{
		"token_lifetime":       settingOf(duration, s.SetTokenLifetime),
		"refresh_in":           settingOf(duration, s.SetRefreshIn),
		"delay":                settingOf(duration, s.SetDelay),
		"latency":              settingOf(duration, s.SetLatency),
		"round_trip":           settingOf(duration, s.SetRoundTrip),
		"device_code_lifetime": settingOf(duration, s.SetDeviceCodeLifetime),
		"device_poll_interval": settingOf(duration, s.SetDevicePollInterval),
		"sni":                  settingOf(parseText, s.SetSNI),
		"alpn":                 settingOf(parseText, s.SetALPN),
		"proxy_down":           settingOf(strconv.ParseBool, s.SetProxyDown),
		"proxy_fault":          settingOf(findConnFault, s.SetProxyFault),
		"hold":                 settingOf(strconv.ParseBool, hold),
	}
}

func (c *control) getSettings(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	settings := maps.Clone(c.settings)
	c.mu.Unlock()
	writeJSON(w, settings)
}

// changeSettings applies all settings of a body, or none if one of them is not valid.
func (c *control) changeSettings(w http.ResponseWriter, r *http.Request) {
	changes, known := decode[map[string]string](r), c.knownSettings()
	var applies []func()
	for name, value := range changes {
		parse := known[name]
		if parse == nil {
			names := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
			panic(badRequest(fmt.Sprintf("setting %q not found; there are: %s", name, names)))
		}
		apply, err := parse(value)
		if err != nil {
			panic(badRequest(fmt.Sprintf("%s: %v", name, err)))
		}
		applies = append(applies, apply)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, apply := range applies {
		apply()
	}
	maps.Copy(c.settings, changes)
	w.WriteHeader(http.StatusNoContent)
}
