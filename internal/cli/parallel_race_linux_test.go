//go:build race

package cli

// parallelRuns is how many processes come at once where scripts say "a hundred": with the race
// detector each costs several times as much.
const parallelRuns = "20"

// One in so many of the attacks that differ in a value only; make crowd has them all.
const sampleEvery = 6
