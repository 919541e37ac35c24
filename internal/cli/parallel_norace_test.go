//go:build !race

package cli

// parallelRuns is $PARALLEL, the number of parallel processes in scripts.
const parallelRuns = "100"

// sampleEvery is the sampling interval for hostile inputs that differ in a value only: all.
const sampleEvery = 1
