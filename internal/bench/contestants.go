package main

import (
	"slices"
	"time"
)

const (
	// networkDelay is the delay of a response or the round-trip time, where a contestant has one.
	networkDelay = 20 * time.Millisecond
	manyEntries  = 10_000
)

// programs holds the paths of executables. before and kubelogin may be "": they are not measured.
type programs struct {
	akslogin  string
	before    string // another akslogin to compare with
	kubelogin string
	empty     string // internal/bench/empty
	launch    string // internal/bench/launch
}

// A contestant is a program under certain conditions.
type contestant struct {
	name         string
	program      string        // path; "" if the program is not there
	args         []string      // after the arguments that all contestants get
	noOutput     bool          // it prints no exec credential
	cold         bool          // its cache is empty at the start of every run
	cacheEntries int           // its own and copies of that; 0 makes no copies
	latency      time.Duration // of every HTTP response of Entra ID
	roundTrip    time.Duration // to Entra ID

	// before is the same contestant with the -before binary. It is nil without such a binary, for
	// other programs, and for the -before binary itself.
	before *contestant

	home string // its home directory
	samples
}

// contestants are all contestants. Their names start with the program's name and a comma, by which
// the picture chooses the color of a bar.
type contestants struct {
	empty *contestant

	warm     *contestant // no added latency, one cache entry
	warmMany *contestant // the cache has manyEntries
	cold     *contestant // latency of networkDelay
	coldFar  *contestant // round-trip time of networkDelay

	kubeloginWarm        *contestant // no added latency
	kubeloginWarmLatency *contestant // latency of networkDelay
	kubeloginNoDiscovery *contestant // warm, --disable-instance-discovery
	kubeloginCold        *contestant // latency of networkDelay
	kubeloginColdFar     *contestant // round-trip time of networkDelay
}

func newContestants(p programs) *contestants {
	akslogin := func(c contestant) *contestant {
		c.program, c.name = p.akslogin, "akslogin, "+c.name
		if p.before != "" {
			before := c
			before.program, before.name = p.before, c.name+" (before)"
			c.before = &before
		}
		return &c
	}
	kubelogin := func(c contestant) *contestant {
		c.program, c.name = p.kubelogin, "kubelogin, "+c.name
		return &c
	}
	cold := contestant{name: "cold, 20 ms per response", cold: true, latency: networkDelay}
	coldFar := contestant{name: "cold, 20 ms per round trip", cold: true, roundTrip: networkDelay}
	return &contestants{
		empty: &contestant{name: "empty Go program", program: p.empty, noOutput: true},

		warm: akslogin(contestant{name: "warm"}),
		warmMany: akslogin(contestant{
			name: "warm, 10,000 cache entries", cacheEntries: manyEntries,
		}),
		cold:    akslogin(cold),
		coldFar: akslogin(coldFar),

		kubeloginWarm: kubelogin(contestant{name: "warm"}),
		kubeloginWarmLatency: kubelogin(contestant{
			name: "warm, 20 ms per response", latency: networkDelay,
		}),
		kubeloginNoDiscovery: kubelogin(contestant{
			name: "warm, --disable-instance-discovery",
			args: []string{"--disable-instance-discovery"},
		}),
		kubeloginCold:    kubelogin(cold),
		kubeloginColdFar: kubelogin(coldFar),
	}
}

// runnable returns the contestants whose program is there, in the order of the report.
func (c *contestants) runnable() []*contestant {
	var all []*contestant
	for _, one := range []*contestant{
		c.empty, c.warm, c.warmMany, c.kubeloginNoDiscovery, c.kubeloginWarm,
		c.kubeloginWarmLatency, c.cold, c.kubeloginCold, c.coldFar, c.kubeloginColdFar,
	} {
		all = append(all, one, one.before)
	}
	return slices.DeleteFunc(all, func(c *contestant) bool { return !c.isRunnable() })
}

func (c *contestant) isRunnable() bool { return c != nil && c.program != "" }
