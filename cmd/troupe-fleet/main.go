// Command troupe-fleet breaks a whole fleet and judges what clients saw: a
// three-node NATS cluster, two gateways and three workers as processes of their
// own, each behind wires to NATS that can be cut, held and spoilt, hundreds of
// paced streams, and faults at moments that a seed draws.
//
// The clients, the model vendor and the oracle share no code with the server.
// Rounds follow one another on the same fleet; a process that a round killed is
// started again, and one that none has killed must be, at the end of each, as
// small as it was at the start. Every round gathers evidence, the oracle judges
// it against the invariants of docs/reliability.md, and at the end the oracle
// itself is tried: each invariant has a control, a forgery of real evidence that
// must turn its verdict red.
//
// Everything random comes from the seed; the moments at which the machine runs
// what was drawn do not, so a replay is like the first time and not the same.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if asBurner(os.Args[1:]) {
		if problems := burn(os.Stdin); len(problems) > 0 {
			fmt.Fprintln(os.Stderr, "troupe-fleet: burner:", strings.Join(problems, "; "))
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2) // the flags have said why
	default:
		fmt.Fprintln(os.Stderr, "troupe-fleet:", err)
		os.Exit(1)
	}
}

var errUsage = errors.New("wrong use")

// options are the command line.
type options struct {
	streams   int
	seeds     int
	seed      uint64 // replay this one; 0 = not
	scenarios string
	long      bool
	keep      bool
	json      string
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("troupe-fleet", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.streams, "streams", 300, "streams of each round")
	flags.IntVar(&o.seeds, "seeds", 5, "seeds of each scenario: 1, 2, 3 …")
	flags.Uint64Var(&o.seed, "seed", 0, "replay this `seed` alone")
	flags.StringVar(&o.scenarios, "scenario", "", "only these, by comma; the `names` are below")
	flags.BoolVar(&o.long, "long", false, "play the long scenarios too")
	flags.BoolVar(&o.keep, "keep", false, "keep the folder with all logs")
	flags.StringVar(&o.json, "json", "", "write figures and verdicts to this `file`")
	flags.Usage = func() {
		fmt.Fprint(stderr, "Usage: troupe-fleet [flags]\n\nStarts a fleet, breaks it and judges what clients saw. Run it inside the source tree.\n\n")
		flags.PrintDefaults()
		fmt.Fprint(stderr, "\nScenarios:\n")
		for _, s := range scenarios() {
			fmt.Fprintf(stderr, "  %-18s %s%s\n", s.name, s.about, map[bool]string{true: " (only with --long, or by name)"}[s.long])
		}
		fmt.Fprint(stderr, "\nExit status: 0 all green, 1 a breach or a failure, 2 wrong use.\nA red line: `troupe-fleet --scenario NAME --seed N --keep` plays it again.\n")
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, errUsage
	}
	var wrong string
	switch {
	case flags.NArg() > 0:
		wrong = fmt.Sprintf("unexpected argument %q", flags.Arg(0))
	case o.streams < 10 || o.streams > maxSlots/2:
		wrong = fmt.Sprintf("--streams %d: 10 to %d", o.streams, maxSlots/2)
	case o.seeds < 1:
		wrong = fmt.Sprintf("--seeds %d: at least 1", o.seeds)
	}
	if _, err := chosen(o); wrong == "" && err != nil {
		wrong = err.Error()
	}
	if wrong != "" {
		fmt.Fprintf(stderr, "troupe-fleet: %s; --help tells more\n", wrong)
		return o, errUsage
	}
	return o, nil
}

// chosen are the scenarios to play, in the order of the list.
func chosen(o options) (list []scenario, err error) {
	if o.scenarios == "" {
		for _, s := range scenarios() {
			if o.long || !s.long {
				list = append(list, s)
			}
		}
		return list, nil
	}
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(o.scenarios, ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	for _, s := range scenarios() {
		if wanted[s.name] {
			list = append(list, s)
			delete(wanted, s.name)
		}
	}
	for name := range wanted {
		return nil, fmt.Errorf("no scenario is called %q", name)
	}
	return list, nil
}

// seedList are the seeds to play.
func (o options) seedList() (list []uint64) {
	if o.seed != 0 {
		return []uint64{o.seed}
	}
	for i := range o.seeds {
		list = append(list, uint64(i+1))
	}
	return list
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	list, err := chosen(o)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "troupe-fleet-")
	if err != nil {
		return err
	}
	p := &performance{options: o, scenarios: list, dir: dir, report: newReport(stdout)}
	err = p.play(ctx)
	if o.keep || err != nil {
		fmt.Fprintf(stdout, "logs and evidence: %s\n", dir)
		return err
	}
	return os.RemoveAll(dir)
}
