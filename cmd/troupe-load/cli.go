package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"unicode"

	"github.com/alecthomas/kong"
)

// cli is the table of commands.
type cli struct {
	Run       runCmd       `cmd:"" help:"Put a load on a server and report."`
	Faults    faultsCmd    `cmd:"" help:"Break things under streams and say who was touched."`
	Compare   compareCmd   `cmd:"" help:"Compare the results of two runs."`
	Report    reportCmd    `cmd:"" help:"Make the page of a result."`
	Scenarios scenariosCmd `cmd:"" help:"List the built-in scenarios, or print one as YAML."`
	Version   versionCmd   `cmd:"" help:"Print the version."`
	NATS      natsCmd      `cmd:"" name:"nats" hidden:"" help:"Run NATS for a fleet."`
}

// program is one call and what it may touch.
type program struct {
	stdout, stderr io.Writer
	overrides      []override // taken out before kong
}

// usageError is a mistake in the command line or a scenario: exit 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errFailed ends with exit 1 after the reason was told where it belongs.
var errFailed = errors.New("a check failed")

// run is the whole program with its surroundings passed in. It returns the exit
// code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	p := &program{stdout: stdout, stderr: stderr}
	err := p.dispatch(ctx, args)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		p.complain(err)
		return 2
	case !errors.Is(err, errFailed):
		p.complain(err)
	}
	return 1
}

// complain writes every line of err as a line of its own. It may quote a server,
// whose text must not steer the terminal.
func (p *program) complain(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(p.stderr, "troupe-load: "+strings.Map(printable, line))
	}
}

// printable leaves out what a terminal does not show but obeys.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return -1
}

func (p *program) dispatch(ctx context.Context, args []string) error {
	var err error
	if len(args) > 0 && args[0] == "run" {
		if p.overrides, args, err = splitOverrides(args); err != nil {
			return usageError{err}
		}
	}
	var helped bool
	parser, err := kong.New(&cli{},
		kong.Name("troupe-load"),
		kong.Description("Load for servers that stream over WebSockets, and a report worth trusting.\n\nTry: troupe serve --dev, then: troupe-load run --scenario paced --connections 20 --duration 10s"),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { helped = true }), // --help ends here; the parse goes on to nobody
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, NoExpandSubcommands: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if err != nil {
		return fmt.Errorf("build the command line: %w", err)
	}
	command, err := parser.Parse(args)
	switch {
	case helped:
		return nil
	case err != nil:
		return usageError{fmt.Errorf("%w; `troupe-load --help` shows the commands", err)}
	}
	return command.Run()
}

type versionCmd struct{}

// Run implements the command.
func (versionCmd) Run(p *program) error {
	fmt.Fprintln(p.stdout, "troupe-load "+version())
	return nil
}

// version is what the Go tool stamped into the binary; "dev" where it knows none.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	return info.Main.Version
}
