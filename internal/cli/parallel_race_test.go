//go:build race

package cli

// parallelRuns is $PARALLEL, the number of parallel processes in scripts. With the race detector
// each of them costs several times as much.
const parallelRuns = "20"

// sampleEvery is the sampling interval for hostile inputs that differ in a value only: one in six.
// make test and make test-long run them all.
const sampleEvery = 6
