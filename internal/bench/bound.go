package main

import (
	"fmt"
	"math"
)

// A bound is the range in which a value should be, and the wider range outside which something is
// wrong even if the machine is busy.
type bound struct{ from, to, farFrom, farTo float64 }

func atMost(n, far float64) *bound  { return &bound{math.Inf(-1), n, math.Inf(-1), far} }
func atLeast(n, far float64) *bound { return &bound{n, math.Inf(1), far, math.Inf(1)} }
func exactly(n float64) *bound      { return &bound{n, n, n, n} }

// counted allows every value. A row with it is in the README's table, one without a bound is not.
func counted() *bound { return &bound{math.Inf(-1), math.Inf(1), math.Inf(-1), math.Inf(1)} }

func (b bound) String() string {
	switch {
	case b.from == b.to:
		return fmt.Sprint(b.to)
	case math.IsInf(b.from, -1) && math.IsInf(b.to, 1):
		return "counted"
	case math.IsInf(b.from, -1):
		return fmt.Sprint("at most ", b.to)
	}
	return fmt.Sprint("at least ", b.from)
}

func (b bound) met(n float64) bool { return b.from <= n && n <= b.to }

// far reports whether n is outside the wider range.
func (b bound) far(n float64) bool { return !(b.farFrom <= n && n <= b.farTo) }
