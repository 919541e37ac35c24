// Bench measures the shipped akslogin binary in turn with an empty Go program and with kubelogin,
// all against an emulated Entra ID. It prints the measurements and says which of them keep their
// bounds.
//
// The measurements are the rows of the table in measurements.go. A new one is a new row there.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/akslogin/akslogin/internal/entratest"
)

func main() {
	rounds := flag.Int("rounds", 200, "how often each contestant runs")
	out := flag.String("out", "", "the `directory` that bench.json and bench.svg are written to")
	check := flag.Bool("check", false, "fail if a value is far beyond its bound")
	var programs programs
	flag.StringVar(&programs.before, "before", "",
		"another akslogin `binary`, of before a change, to measure in turn with AKSLOGIN")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: bench [flags] AKSLOGIN EMPTY LAUNCH")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 3 || *rounds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	programs.akslogin, programs.empty, programs.launch = flag.Arg(0), flag.Arg(1), flag.Arg(2)
	if err := run(*rounds, programs, *out, *check); err != nil {
		text := strings.ReplaceAll(err.Error(), "\n", "\n\t")
		fmt.Fprintln(os.Stderr, "bench: error:", text)
		os.Exit(1)
	}
}

// run measures the programs, prints the report and writes it to a directory, if out names one.
func run(rounds int, programs programs, out string, check bool) error {
	if runtime.GOOS != "linux" {
		return errors.New("akslogin trusts the emulator through SSL_CERT_FILE: run bench on Linux")
	}
	if err := programs.makeAbsolute(); err != nil {
		return err
	}
	tb := &entratest.ProgramTB{Name: "bench"}
	r, err := measure(tb, rounds, programs)
	if err := errors.Join(err, tb.Close()); err != nil {
		return err
	}
	r.print(os.Stdout)
	if out != "" {
		if err := r.write(out); err != nil {
			return err
		}
	}
	if !check {
		return nil
	}
	problems := r.farBeyondBound()
	if os.Getenv("AKSLOGIN_TEST_CLIENTS") == "required" {
		problems = append(problems, r.Missing...)
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "\n"))
	}
	return nil
}

// makeAbsolute makes the paths absolute.
func (p *programs) makeAbsolute() (err error) {
	for _, path := range []*string{&p.akslogin, &p.before, &p.empty, &p.launch} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	return nil
}
