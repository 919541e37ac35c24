//go:build race

package main

// crowd is how many processes come at once where scripts say "a hundred": with the race detector each costs several times as much.
const crowd = "20"

// One in so many of the attacks that differ in a value only; make crowd has them all.
const oneIn = 6
