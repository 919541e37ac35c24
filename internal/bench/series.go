package main

import (
	"math/rand/v2"
	"os/exec"
	"slices"
	"time"
)

const (
	parallelProcesses = 100
	// longRoundTrip is a round-trip time that exceeds everything else that a cold run takes.
	longRoundTrip = 500 * time.Millisecond
)

// A series runs contestants in rounds and collects samples of one kind.
type series struct {
	rounds func(n int) int // the number of rounds for -rounds n
	sample func(*runner, *contestant) error

	tool    string // an executable that sample needs; "" if it needs none
	missing string // the report's line if the tool is not there; "" for none
}

var (
	timedRuns = &series{
		rounds: func(n int) int { return n },
		sample: (*runner).sampleTimes,
	}
	roundTripRuns = &series{rounds: always(3), sample: (*runner).sampleRoundTrips}
	parallelRuns  = &series{
		rounds: func(n int) int { return max(3, min(n/10, 20)) },
		sample: (*runner).sampleParallel,
	}
	memoryRuns = &series{rounds: always(30), sample: (*runner).sampleMemory}
	// System calls of Go's scheduler and memory allocator differ from run to run, so sampleTrace
	// keeps the fewest of all rounds.
	tracedRuns = &series{
		rounds: always(5), sample: (*runner).sampleTrace,
		tool: "strace", missing: "system calls: strace not found (apt-get install strace)",
	}
	// Instructions hardly depend on other load on the machine.
	countedRuns = &series{
		rounds: always(1), sample: (*runner).sampleInstructions,
		tool: "valgrind",
	}

	allSeries = []*series{
		timedRuns, roundTripRuns, parallelRuns, memoryRuns, tracedRuns, countedRuns,
	}
)

func always(rounds int) func(int) int { return func(int) int { return rounds } }

// samples are what the series collected of a contestant.
type samples struct {
	requests, connections int // of one run
	binarySize            int64

	wall, cpu []time.Duration // of the timed runs, by round

	nearTimes, farTimes []time.Duration // without added latency, and with longRoundTrip

	parallelTimes         []time.Duration // until the last of parallelProcesses ended
	parallelTokenRequests int             // the most

	peakMemory []float64 // MB
	pageFaults []float64 // minor ones

	trace     trace
	rootFiles int // files with root certificates opened

	instructions float64 // NaN if valgrind did not count them
}

// wallTimes returns the wall-clock times of the timed runs in milliseconds, by round.
func (s *samples) wallTimes() []float64 { return milliseconds(s.wall) }

// isAvailable reports whether the tool of the series is there.
func (s *series) isAvailable() bool {
	if s.tool == "" {
		return true
	}
	_, err := exec.LookPath(s.tool)
	return err == nil
}

// contestants returns those of all that a row of the series names, their -before ones too.
func (s *series) contestants(all []*contestant, rows []measurement) []*contestant {
	return slices.DeleteFunc(slices.Clone(all), func(c *contestant) bool {
		return !slices.ContainsFunc(rows, func(m measurement) bool {
			return m.metric.series == s &&
				(slices.Contains(m.contestants, c) || slices.Contains(m.before(), c))
		})
	})
}

// run runs every contestant once per round. The order is random, so that other load on the machine
// affects all of them alike.
func (s *series) run(r *runner, contestants []*contestant, rounds int) error {
	for range s.rounds(rounds) {
		for _, i := range rand.Perm(len(contestants)) {
			if err := s.sample(r, contestants[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
