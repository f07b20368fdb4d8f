// Command troupe-bench measures Troupe against floors: the least program that
// does the same job on the same machine. A ratio to a floor says more than a
// number, because it survives a slower machine.
//
// What is measured is troupe as it is built, each of its processes a child of
// this one, and so is each floor; the clients live in this process. CPU time and
// memory are read from the outside, of one child alone. Rounds are interleaved,
// troupe and floors by turns, and what is printed is the median, so that a
// neighbour's load hits all. One Markdown table goes to standard output,
// progress to standard error; with -o a page with pictures is written, too.
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

// options are the command line.
type options struct {
	plan   plan
	suites []suite
	troupe string // a binary; empty = build one
	reader string // websocket.reader; empty = what the server chooses
	page   string // where to write the page; empty = nowhere
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	flags := flag.NewFlagSet("troupe-bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o options
	quick := flags.Bool("quick", false, "fewer rounds and smaller ones: two minutes")
	rounds := flags.Int("rounds", 0, "interleaved rounds; 0 = 5, or 3 with -quick")
	only := flags.String("only", "", "only suites whose name has this in it: "+suiteNames())
	flags.StringVar(&o.troupe, "troupe", "", "measure this binary instead of building one")
	flags.StringVar(&o.reader, "reader", "", "who reads the server's sockets: goroutine or loop; empty = what the server chooses")
	flags.StringVar(&o.page, "o", "", "write a page to this file, and its pictures into img/ beside it")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if !slices.Contains([]string{"", "goroutine", "loop"}, o.reader) {
		return o, fmt.Errorf("-reader %q: goroutine or loop", o.reader)
	}
	o.plan = fullPlan()
	if *quick {
		o.plan = quickPlan()
	}
	if *rounds > 0 {
		o.plan.rounds = *rounds
	}
	o.suites = slices.DeleteFunc(suites(), func(s suite) bool { return !strings.Contains(s.name, *only) })
	if len(o.suites) == 0 {
		return o, fmt.Errorf("no suite has %q in its name; there are: %s", *only, suiteNames())
	}
	return o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && strings.HasPrefix(args[0], commandPrefix) {
		return commandMain(ctx, args[0], args[1:], os.Stdin, stdout)
	}
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if err := supported(); err != nil {
		return err
	}
	if o.troupe == "" {
		dir, err := os.MkdirTemp("", "troupe-bench-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if o.troupe, err = buildTroupe(ctx, dir); err != nil {
			return err
		}
	}
	began := time.Now()
	t, err := measure(ctx, o.plan, o.suites, o.troupe, o.reader, stderr)
	if err != nil {
		return err
	}
	r := report{table: t, options: o, took: time.Since(began), machine: thisMachine(ctx, o.reader)}
	if err := r.print(stdout); err != nil {
		return err
	}
	if o.page != "" {
		if err := r.writePage(o.page); err != nil {
			return err
		}
	}
	return t.trouble()
}
