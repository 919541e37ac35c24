package main

// keepOffDisk: Go tells Windows not to report its crashes, unless somebody sets GOTRACEBACK=wer.
func keepOffDisk() {}

// noWaiting: there are no pipes among files here.
const noWaiting = 0

// roomForFiles: there is no such limit here.
func roomForFiles() error { return nil }
