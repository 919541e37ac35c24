package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/akslogin/akslogin/internal/entratest"
	"github.com/akslogin/akslogin/internal/kubelogin"
)

// measure runs the contestants and returns the report. It builds kubelogin if it is not there yet.
// If that fails, the report says so and has no rows about kubelogin.
func measure(tb entratest.TB, rounds int, p programs) (*report, error) {
	r := &report{
		Machine: machine(), Program: buildOf(p.akslogin), Before: buildOf(p.before), Rounds: rounds,
	}
	var err error
	if p.kubelogin, err = kubelogin.Program(); err != nil {
		r.Missing = append(r.Missing, err.Error())
	}
	contestants := newContestants(p)
	all, rows := contestants.runnable(), measurements(contestants)
	runner, err := newRunner(tb, p.launch)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if err := runner.setUp(c); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(os.Stderr, "bench: %d rounds of %d runs; a hundred rounds take a minute or two\n",
		rounds, len(all))
	loadBefore := loadAverage()
	if err := timedRuns.run(runner, all, rounds); err != nil {
		return nil, err
	}
	r.addTimings(all)
	r.Settings = append(settings(rounds, loadBefore, loadAverage()),
		buildDifferences(p.akslogin, p.before)...)
	for _, s := range allSeries {
		if !s.isAvailable() {
			if s.missing != "" {
				r.Missing = append(r.Missing, s.missing)
			}
			rows = slices.DeleteFunc(rows, func(m measurement) bool { return m.metric.series == s })
		} else if s != timedRuns {
			if err := s.run(runner, s.contestants(all, rows), rounds); err != nil {
				return nil, err
			}
		}
	}
	for _, m := range rows {
		r.add(m)
	}
	r.addTrace(contestants.warm.trace, contestants.empty.trace)
	return r, nil
}

// settings says how the measurements were made. The load averages may be "".
func settings(rounds int, loadBefore, loadAfter string) []string {
	lines := []string{
		fmt.Sprintf("%d rounds; each contestant runs once per round, in random order; "+
			"a ratio is taken within each round, and the median is shown", rounds),
		"a run lasts from the start of the process to its end, with its output in a file; " +
			"the first two numbers are the 95 % confidence interval of the median; " +
			"FASTEST is the ratio of the fastest runs",
		"Entra ID is emulated behind the public cloud's host names and a proxy, " +
			"and shares this machine's CPUs",
		fmt.Sprintf("%s per response: the emulator delays every HTTP response by that; "+
			"%[1]s per round trip: connections and TLS handshakes take longer too", networkDelay),
		"kubelogin " + kubelogin.Version + " is built from the Go module proxy, static as its " +
			"releases are; it gets akslogin's flags, which are those of a kubeconfig",
	}
	if loadBefore != "" {
		lines = append(lines, fmt.Sprintf("the load average was %s before the rounds and %s after "+
			"them: other load makes all times longer and ratios of short runs smaller",
			loadBefore, loadAfter))
	}
	return lines
}
