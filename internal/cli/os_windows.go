package cli

// killOnSignal does nothing: a tool runs in a job object, which ends with this program.
func killOnSignal(func()) (ended func()) { return func() {} }
