package main

// noWaiting: there are no pipes among files here.
const noWaiting = 0

// roomForFiles: there is no such limit here.
func roomForFiles() error { return nil }
