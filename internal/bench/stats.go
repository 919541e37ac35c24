package main

import (
	"math"
	"slices"
	"time"
)

// A spread describes the distribution of samples. From and To are the 95 % confidence interval of
// the median.
type spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	P25    float64 `json:"p25"`
	P75    float64 `json:"p75"`
	From   float64 `json:"from"`
	To     float64 `json:"to"`
}

// spreadOf describes the distribution of at least one value.
func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	n := float64(len(v))
	// The number of samples below the true median is binomial.
	half := 1.96 * math.Sqrt(n) / 2
	at := func(i float64) float64 { return v[int(max(0, min(i, n-1)))] }
	return spread{
		Median: quantile(v, 0.5),
		Least:  v[0],
		P25:    quantile(v, 0.25),
		P75:    quantile(v, 0.75),
		From:   at(math.Floor(n/2 - half)),
		To:     at(math.Ceil(n/2 + half)),
	}
}

// quantile interpolates between the two nearest values.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// milliseconds returns durations in milliseconds.
func milliseconds(durations []time.Duration) []float64 {
	values := make([]float64, len(durations))
	for i, d := range durations {
		values[i] = float64(d) / float64(time.Millisecond)
	}
	return values
}

// pairwise applies f to the elements of a and b with the same index.
func pairwise(a, b []float64, f func(a, b float64) float64) []float64 {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = f(a[i], b[i])
	}
	return values
}

func quotient(a, b float64) float64   { return a / b }
func difference(a, b float64) float64 { return a - b }
