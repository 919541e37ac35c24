package cache

import (
	"bytes"
	"path/filepath"
	"testing"
)

// Sizes as in a real run: a pod's assertion, the inputs of a login, an application's token.
var (
	benchSecret = bytes.Repeat([]byte("s"), 1200)
	benchInputs = []string{
		"schema=1", "method=workloadidentity", "authority=https://login.microsoftonline.com/",
		"tenant=11111111-aaaa-4444-8888-000000000001",
		"client=22222222-bbbb-4444-8888-000000000001",
		"scope=6dae42f8-4368-4678-94ff-3960e28e3630/.default",
	}
	benchToken = bytes.Repeat([]byte("t"), 1700)
)

func benchEntry(b *testing.B) *Entry {
	b.Helper()
	e, err := Dir{Path: filepath.Join(b.TempDir(), "cache")}.Entry(benchSecret, benchInputs...)
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// BenchmarkOpen measures what a warm run does: it derives name and key, reads the file, and
// decrypts it.
func BenchmarkOpen(b *testing.B) {
	stored := benchEntry(b)
	if err := stored.Put(benchToken, "token", expires); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		e, err := stored.dir.Entry(benchSecret, benchInputs...)
		if err != nil {
			b.Fatal(err)
		}
		if got, err := e.Get(); err != nil || len(got) != len(benchToken) {
			b.Fatal(len(got), err)
		}
	}
}

// BenchmarkDerive measures deriving an entry's name, without a file.
func BenchmarkDerive(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Dir{Path: "/cache"}).Entry(benchSecret, benchInputs...); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPut mostly measures the disk: a file is written, synced and renamed.
func BenchmarkPut(b *testing.B) {
	e := benchEntry(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Put(benchToken, "token", expires); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLock measures taking and freeing a lock that nobody else wants.
func BenchmarkLock(b *testing.B) {
	e := benchEntry(b)
	if err := e.Put(benchToken, "token", expires); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		unlock, err := e.Lock(b.Context(), true)
		if err != nil {
			b.Fatal(err)
		}
		unlock()
	}
}
