//go:build !race

package main

// crowd is how many processes come at once where scripts say "a hundred".
const crowd = "100"
