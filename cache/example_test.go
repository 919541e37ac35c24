package cache_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/akslogin/akslogin/cache"
)

// tempDir returns a cache directory for an example, and a function that removes it. Programs use
// [cache.DefaultDir] or a directory of their own.
func tempDir() (_ cache.Dir, remove func()) {
	parent, err := os.MkdirTemp("", "cache-example")
	if err != nil {
		panic(err)
	}
	return cache.Dir{Path: filepath.Join(parent, "cache")}, func() { os.RemoveAll(parent) }
}

// An entry is sealed with a secret that the program has anyway. With another secret or with other
// inputs the result is a miss.
func ExampleDir_Entry() {
	dir, remove := tempDir()
	defer remove()

	store := func() error {
		entry, err := dir.Entry([]byte("federated token"), "client=worker")
		if err != nil {
			return err
		}
		return entry.Put([]byte("access token"), "token", time.Now().Add(time.Hour))
	}
	if err := store(); err != nil {
		fmt.Println(err)
		return
	}
	for _, try := range []struct{ secret, input string }{
		{"federated token", "client=worker"},
		{"another token", "client=worker"},
		{"federated token", "client=triggerer"},
	} {
		entry, err := dir.Entry([]byte(try.secret), try.input)
		if err != nil {
			fmt.Println(err)
			return
		}
		data, err := entry.Get()
		fmt.Printf("%s, %s: %q, miss %t\n", try.secret, try.input, data, errors.Is(err, cache.ErrMiss))
	}
	// Output:
	// federated token, client=worker: "access token", miss false
	// another token, client=worker: "", miss true
	// federated token, client=triggerer: "", miss true
}

// Many workers need the same result. One of them works, and the others wait for its result. The
// workers may be processes as well as goroutines.
func ExampleEntry_Lock() {
	dir, remove := tempDir()
	defer remove()
	var exchanges atomic.Int32

	// get returns the stored result, or makes it.
	get := func(ctx context.Context) (string, error) {
		entry, err := dir.Entry([]byte("federated token"), "client=worker")
		if err != nil {
			return "", err
		}
		if data, err := entry.Get(); err == nil {
			return string(data), nil
		}
		// A lock only saves work: without it, go on alone.
		if unlock, err := entry.Lock(ctx, true); err == nil {
			defer unlock()
		}
		if data, err := entry.Get(); err == nil { // of the worker that had the lock
			return string(data), nil
		}
		exchanges.Add(1)
		result := "access token"
		// If the result cannot be stored, it still counts.
		_ = entry.Put([]byte(result), "token", time.Now().Add(time.Hour))
		return result, nil
	}

	var workers sync.WaitGroup
	for range 5 {
		workers.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if result, err := get(ctx); err != nil || result != "access token" {
				fmt.Println(result, err)
			}
		})
	}
	workers.Wait()
	fmt.Println("exchanges:", exchanges.Load())
	// Output: exchanges: 1
}

// The header of an entry is readable without its secret. It holds the inputs, so no input may be
// secret.
func ExampleDir_List() {
	dir, remove := tempDir()
	defer remove()
	dir.Now = func() time.Time { return time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC) }

	entry, err := dir.Entry([]byte("federated token"), "client=worker", "tenant=contoso.example")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := entry.Put([]byte("access token"), "token", dir.Now().Add(time.Hour)); err != nil {
		fmt.Println(err)
		return
	}
	listed, err := dir.List()
	for _, l := range listed {
		fmt.Println(l.Kind, l.Inputs, "expires", l.Expires.Format(time.Kitchen))
	}
	removed, clearErr := dir.Clear()
	fmt.Println("removed:", removed, err, clearErr)
	// Output:
	// token [client=worker tenant=contoso.example] expires 4:00AM
	// removed: 1 <nil> <nil>
}

// A login without a secret of its own, such as a managed identity's, is sealed with a key of the
// user. The key is outside of the cache directory.
func ExampleDir_Key() {
	dir, remove := tempDir()
	defer remove()
	keyFile := filepath.Join(filepath.Dir(dir.Path), "data", "key")

	first, err := dir.Key(keyFile)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := dir.Key(keyFile)
	fmt.Println(len(first), "bytes, the same again:", string(first) == string(again), err)

	_, err = dir.Key(filepath.Join(dir.Path, "key"))
	fmt.Println("refused beside the entries:", err != nil)
	// Output:
	// 32 bytes, the same again: true <nil>
	// refused beside the entries: true
}
