// Empty does nothing. Every Go program takes at least what it takes.
package main

func main() {}
