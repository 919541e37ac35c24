//go:build race

package main

// crowd is how many processes come at once where scripts say "a hundred": with the race detector each costs several times as much.
const crowd = "20"
