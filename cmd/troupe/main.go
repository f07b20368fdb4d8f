// Command troupe hosts streaming LLM chat over WebSockets, and talks to any
// troupe from a terminal. Start with: troupe serve --dev
//
// Exit codes: 0 fine, 1 failed while running, 2 bad usage or configuration.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program with its surroundings passed in, so that a test
// starts it as a shell does. It returns the exit code.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{
		env:     env,
		stdin:   stdin,
		stdout:  stdout,
		stderr:  stderr,
		signals: systemSignals,
		exit:    os.Exit,
	}
	return p.run(ctx, args)
}

// systemSignals asks the system for signals until stop is called.
func systemSignals(which ...os.Signal) (c <-chan os.Signal, stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, which...)
	return signals, func() { signal.Stop(signals) }
}
