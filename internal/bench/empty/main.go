// Empty does nothing. What it takes, every Go program takes.
package main

func main() {}
