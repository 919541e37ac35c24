package process

// DisableCoreDumps does nothing: Go turns off Windows Error Reporting, except with GOTRACEBACK=wer.
func DisableCoreDumps() {}

// FreeDescriptors returns limit: Windows has no limit of open files that matters here.
func FreeDescriptors(limit int) int { return limit }
