//go:build !race

package main

// crowd is how many processes come at once where scripts say "a hundred".
const crowd = "100"

// All attacks that differ in a value only.
const oneIn = 1
