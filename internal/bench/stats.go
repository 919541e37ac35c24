package main

import (
	"math"
	"slices"
	"time"
)

// spread is how values are spread: quartiles, and between which values the median of very many
// would be, with a probability of 95 %.
type spread struct {
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	P25    float64 `json:"p25"`
	P75    float64 `json:"p75"`
	From   float64 `json:"from"`
	To     float64 `json:"to"`
}

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	n := float64(len(v))
	// The number of values below the true median is binomial.
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

// quantile is between the two sorted values that are nearest.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// ms are the values of what was taken, in milliseconds.
func ms(runs []taken, of func(taken) time.Duration) []float64 {
	values := make([]float64, len(runs))
	for i, t := range runs {
		values[i] = float64(of(t)) / float64(time.Millisecond)
	}
	return values
}

func wall(t taken) time.Duration { return t.wall }
func cpu(t taken) time.Duration  { return t.cpu }

// paired applies an operation to both contestants' times of each round.
func paired(a, b *contestant, of func(a, b float64) float64) spread {
	x, y := ms(a.runs, wall), ms(b.runs, wall)
	values := make([]float64, len(x))
	for i := range x {
		values[i] = of(x[i], y[i])
	}
	return spreadOf(values)
}

func over(a, b float64) float64  { return a / b }
func minus(a, b float64) float64 { return a - b }
