package main

import "slices"

// A measurement is a row of the report.
type measurement struct {
	name        string
	metric      metric
	contestants []*contestant // as the metric takes them
	bound       *bound        // nil: shown for comparison, and left out of the README
}

// measurements is the table of what is measured. Rows that name a contestant whose program is not
// there are left out.
func measurements(c *contestants) []measurement {
	of := func(contestants ...*contestant) []*contestant { return contestants }
	rows := []measurement{
		{"warm / empty Go program", timeRatio, of(c.warm, c.empty), atMost(3, 5)},
		{"warm / warm before", timeRatio, of(c.warm, c.warm.before), nil},
		{"cold / cold before, 20 ms per response", timeRatio, of(c.cold, c.cold.before), nil},
		{"kubelogin warm / warm, no added latency", timeRatio, of(c.kubeloginWarm, c.warm), atLeast(6, 2.5)},
		{"kubelogin warm / warm, 20 ms per response", timeRatio, of(c.kubeloginWarmLatency, c.warm), atLeast(10, 3)},
		{"kubelogin warm with --disable-instance-discovery / warm", timeRatio, of(c.kubeloginNoDiscovery, c.warm), nil},
		{"kubelogin cold / cold, 20 ms per response", timeRatio, of(c.kubeloginCold, c.cold), atLeast(2, 1.1)},
		{"kubelogin cold / cold, 20 ms per round trip", timeRatio, of(c.kubeloginColdFar, c.coldFar), nil},
		{"warm with 10,000 cache entries / with one", timeRatio, of(c.warmMany, c.warm), atMost(1.1, 3)},
		{"warm: requests", requestCount, of(c.warm), exactly(0)},
		{"cold: requests", requestCount, of(c.cold), exactly(1)},
		{"cold: connections", connectionCount, of(c.cold), exactly(1)},
		{"kubelogin warm: requests", requestCount, of(c.kubeloginWarm), nil},
		{"kubelogin cold: requests", requestCount, of(c.kubeloginCold), nil},
		{"cold: round trips", roundTripCount, of(c.cold), exactly(3)},
		{"kubelogin cold: round trips", roundTripCount, of(c.kubeloginCold), nil},
		{"100 cold at once: token requests, maximum", parallelTokenRequests, of(c.cold), exactly(1)},
		{"100 cold at once, minus one exchange / 100 warm at once", parallelRatio, of(c.cold, c.warm), atMost(1.5, 4)},
		{"100 warm at once", parallelTime, of(c.warm), nil},
		{"100 cold at once", parallelTime, of(c.cold), nil},
		{"one exchange: cold minus warm, 20 ms per response", timeDifference, of(c.cold, c.warm), nil},
		{"warm: peak memory", peakMemory, of(c.warm), atMost(16, 24)},
		{"warm: page faults, minimum", pageFaults, of(c.warm), counted()},
		{"empty Go program: page faults, minimum", pageFaults, of(c.empty), counted()},
		{"binary size", binarySize, of(c.warm), atMost(16, 16)},
		{"warm: system calls, without the scheduler's", systemCalls, of(c.warm), counted()},
		{"warm: system calls beyond those of an empty Go program", systemCallsBeyond, of(c.warm, c.empty), counted()},
		{"warm: unexplained system calls", unexplainedCalls, of(c.warm, c.empty), exactly(0)},
		{"warm: files opened", filesOpened, of(c.warm), counted()},
		{"warm: unexplained files opened", unexplainedFiles, of(c.warm), exactly(0)},
		{"warm: bytes read from files", bytesRead, of(c.warm), counted()},
		{"cold: files with root certificates", rootCertificateFiles, of(c.cold), exactly(1)},
		{"empty Go program: instructions", instructionCount, of(c.empty), nil},
		{"warm: instructions", instructionCount, of(c.warm), nil},
	}
	return slices.DeleteFunc(rows, func(m measurement) bool {
		return slices.ContainsFunc(m.contestants, func(c *contestant) bool {
			return !c.isRunnable()
		})
	})
}

// before returns the contestants of m with the -before binary. It returns nil if there are none, or
// if m is a comparison with them.
func (m measurement) before() []*contestant {
	contestants := slices.Clone(m.contestants)
	replaced := false
	for i, c := range contestants {
		if c.before == nil {
			continue
		}
		if slices.Contains(m.contestants, c.before) {
			return nil
		}
		contestants[i], replaced = c.before, true
	}
	if !replaced {
		return nil
	}
	return contestants
}
