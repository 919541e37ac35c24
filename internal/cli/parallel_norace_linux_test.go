//go:build !race

package cli

// parallelRuns is how many processes come at once where scripts say "a hundred".
const parallelRuns = "100"

// All attacks that differ in a value only.
const sampleEvery = 1
