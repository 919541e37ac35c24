package process

// KeepOffDisk: Go tells Windows not to report its crashes, unless somebody sets GOTRACEBACK=wer.
func KeepOffDisk() {}

// Room: there is no such limit here.
func Room(most int) int { return most }
