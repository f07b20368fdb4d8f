// Command troupe-bench measures Troupe against floors: the least program that
// does the same job on the same machine. A ratio to a floor says more than a
// number, because it survives a slower machine.
//
// The measured program is a child process, `troupe serve` as it is built, and
// so is each floor; the clients live in this process. CPU time and memory are
// read from the outside, of the child alone. Rounds are interleaved, troupe and
// floor by turns, and what is printed is the median, so that a neighbour's load
// hits both. One Markdown table goes to standard output, progress to standard
// error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "troupe-bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == floorCommand {
		return floorMain(ctx, args[1:], os.Stdin, stdout)
	}
	flags := flag.NewFlagSet("troupe-bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "fewer rounds and smaller ones: under a minute")
	rounds := flags.Int("rounds", 0, "interleaved rounds; 0 = 5, or 3 with -quick")
	only := flags.String("only", "", "only suites whose name has this in it: "+suiteNames())
	troupe := flags.String("troupe", "", "measure this binary instead of building one")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	p := fullPlan()
	if *quick {
		p = quickPlan()
	}
	if *rounds > 0 {
		p.rounds = *rounds
	}
	chosen := slices.DeleteFunc(suites(), func(s suite) bool { return !strings.Contains(s.name, *only) })
	if len(chosen) == 0 {
		return fmt.Errorf("no suite has %q in its name; there are: %s", *only, suiteNames())
	}
	return measure(ctx, p, chosen, *troupe, stdout, stderr)
}

// measure runs the chosen suites in every round and prints the table.
func measure(ctx context.Context, p plan, chosen []suite, binary string, stdout, stderr io.Writer) error {
	if err := supported(); err != nil {
		return err
	}
	if binary == "" {
		dir, err := os.MkdirTemp("", "troupe-bench-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if binary, err = buildTroupe(ctx, dir); err != nil {
			return err
		}
	}
	began := time.Now()
	t := newTable(p)
	for round := range p.rounds {
		for _, s := range chosen {
			for i := range 2 {
				floor := (round+i)%2 == 1 // who goes first changes with the round
				fmt.Fprintf(stderr, "round %d/%d: %s, %s\n", round+1, p.rounds, s.name, sideName(floor))
				got, err := s.run(ctx, p, starter(binary, floor))
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, sideName(floor), err)
				}
				t.add(got, floor)
			}
		}
	}
	return t.print(stdout, header(ctx), time.Since(began))
}

func sideName(floor bool) string {
	if floor {
		return "floor"
	}
	return "troupe"
}
