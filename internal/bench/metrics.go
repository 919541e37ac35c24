package main

import (
	"math"
	"slices"
)

// A metric computes a value from the samples of contestants. It takes one contestant, or two: the
// second is what the first is compared with.
type metric struct {
	series *series // collects the samples
	unit   string
	value  func(c []*contestant) value
}

// A value is what a metric computed. NaN stands for no value.
type value struct {
	Value  float64 `json:"value"`
	Spread *spread `json:"spread,omitempty"`
	// Fastest is the ratio of the fastest runs, which other load on the machine changes least. 0
	// stands for none.
	Fastest float64 `json:"fastest,omitempty"`
}

var (
	timeRatio      = metric{timedRuns, "", ratioOfTimes}
	timeDifference = metric{timedRuns, "ms", func(c []*contestant) value {
		return number(exchangeTime(c[0], c[1]))
	}}
	requestCount    = counter(timedRuns, func(c *contestant) int { return c.requests })
	connectionCount = counter(timedRuns, func(c *contestant) int { return c.connections })
	binarySize      = metric{timedRuns, "MB", func(c []*contestant) value {
		return number(float64(c[0].binarySize) / 1e6)
	}}

	roundTripCount = counter(roundTripRuns, func(c *contestant) int {
		more := slices.Min(c.farTimes) - slices.Min(c.nearTimes)
		return int(more.Round(longRoundTrip) / longRoundTrip)
	})

	parallelTime = metric{parallelRuns, "ms", func(c []*contestant) value {
		return median(milliseconds(c[0].parallelTimes))
	}}
	parallelRatio         = metric{parallelRuns, "", ratioOfParallelTimes}
	parallelTokenRequests = counter(parallelRuns, func(c *contestant) int {
		return c.parallelTokenRequests
	})

	peakMemory = metric{memoryRuns, "MB", func(c []*contestant) value {
		return median(c[0].peakMemory)
	}}
	pageFaults = metric{memoryRuns, "", func(c []*contestant) value {
		return least(c[0].pageFaults) // scheduling only adds to them
	}}

	systemCalls       = counter(tracedRuns, func(c *contestant) int { return c.trace.number() })
	systemCallsBeyond = metric{tracedRuns, "", func(c []*contestant) value {
		return number(float64(sum(c[0].trace.beyond(c[1].trace))))
	}}
	unexplainedCalls = metric{tracedRuns, "", func(c []*contestant) value {
		beyond := c[0].trace.beyond(c[1].trace)
		return number(float64(sum(unexplained(beyond, callReasons))))
	}}
	filesOpened      = counter(tracedRuns, func(c *contestant) int { return len(c.trace.opened) })
	unexplainedFiles = counter(tracedRuns, func(c *contestant) int {
		_, unexplained := c.trace.files(whyOpened)
		return unexplained
	})
	bytesRead            = counter(tracedRuns, func(c *contestant) int { return c.trace.bytes() })
	rootCertificateFiles = counter(tracedRuns, func(c *contestant) int { return c.rootFiles })

	instructionCount = metric{countedRuns, "million", func(c []*contestant) value {
		return number(c[0].instructions / 1e6)
	}}
)

// counter is the metric of a number of one contestant.
func counter(s *series, n func(*contestant) int) metric {
	return metric{s, "", func(c []*contestant) value { return number(float64(n(c[0]))) }}
}

func number(n float64) value { return value{Value: n} }

func median(samples []float64) value {
	s := spreadOf(samples)
	return value{Value: s.Median, Spread: &s}
}

func least(samples []float64) value {
	s := spreadOf(samples)
	return value{Value: s.Least, Spread: &s}
}

// ratioOfTimes is the median of the ratios within each round. Other load on the machine affects all
// runs of a round.
func ratioOfTimes(c []*contestant) value {
	a, b := c[0].wallTimes(), c[1].wallTimes()
	v := median(pairwise(a, b, quotient))
	v.Fastest = slices.Min(a) / slices.Min(b)
	return v
}

// ratioOfParallelTimes is how many times as long cold runs take as warm ones, not counting the one
// exchange that all of them wait for.
func ratioOfParallelTimes(c []*contestant) value {
	cold, warm := milliseconds(c[0].parallelTimes), milliseconds(c[1].parallelTimes)
	exchange := exchangeTime(c[0], c[1])
	return median(pairwise(cold, warm, func(cold, warm float64) float64 {
		return (cold - exchange) / warm
	}))
}

// exchangeTime returns how much longer a cold run takes than a warm one, in milliseconds.
func exchangeTime(cold, warm *contestant) float64 {
	return spreadOf(pairwise(cold.wallTimes(), warm.wallTimes(), difference)).Median
}

// isMissing reports whether there is no value.
func (v value) isMissing() bool { return math.IsNaN(v.Value) }
