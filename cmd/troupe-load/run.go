package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos"
	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos/page"
	"github.com/troupe-chat/troupe/cmd/troupe-load/engine"
	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

type runCmd struct {
	URL      string `help:"Server, as ws://host:port or wss://host; a path is put in front of the scenario's." default:"ws://127.0.0.1:8000" placeholder:"URL"`
	Scenario string `help:"A built-in scenario, or a YAML file." required:"" placeholder:"NAME|FILE"`
	JSON     string `name:"json" short:"o" aliases:"output" help:"Write the result to this file." placeholder:"FILE"`
	HTML     string `name:"html" help:"Write a page with charts to this file; it opens offline." placeholder:"FILE"`
	Metrics  string `help:"The server's Prometheus metrics; else /metrics on the same host. off: do not ask." placeholder:"URL|off"`
	Quiet    bool   `help:"No picture while it runs."`
}

// Help implements kong.HelpProvider.
func (runCmd) Help() string {
	return `Scenarios: ` + strings.Join(scenario.Names(), ", ") + `. "troupe-load scenarios NAME" prints one as YAML.

Every key of a scenario is a flag too: --connections=500, --duration=1m, --questions.rate=50,
--questions.models=echo-10ms-100w, --checks.p99.first_chunk=200ms. docs/load.md lists them.

Examples:
  troupe-load run --scenario paced
  troupe-load run --url wss://chat.example.com --scenario mixed --duration 5m --html report.html
  troupe-load run --scenario idle --connections 15000 --source_addresses 127.0.0.2,127.0.0.3
  troupe-load run --scenario mine.yaml --json new.json && troupe-load compare old.json new.json

The server's own limits count: a Troupe for tests wants --limits.connections.max, --limits.sessions.max,
--limits.messages.max and --pool.max_connections wide, and --pool.max_per_ip=0.
Ctrl-C ends a run early and still reports; a second one ends at once.
Exit codes: 0 every check passed, 1 one failed, 2 wrong use.`
}

// Run implements the command.
func (c *runCmd) Run(ctx context.Context, p *program) error {
	plan, err := scenario.Load(c.Scenario, p.overrides...)
	if err != nil {
		return usageError{err}
	}
	o := engine.Options{URL: c.URL, Metrics: c.Metrics, Tool: version()}
	done := func() {}
	if !c.Quiet {
		o.Live, done = p.picture()
	}
	result, err := engine.Run(ctx, plan, o)
	done()
	if wrong := (engine.UsageError{}); errors.As(err, &wrong) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if err := c.write(p, result); err != nil {
		return err
	}
	for _, check := range result.Checks {
		if !check.OK {
			return errFailed
		}
	}
	return nil
}

// write leaves the result where it is wanted.
func (c *runCmd) write(p *program, r *report.Result) error {
	if err := report.Summary(p.stdout, r); err != nil {
		return err
	}
	if !r.Load.Saturated && r.Load.Why != "" { // else the summary has said it
		if _, err := fmt.Fprintln(p.stdout, "! "+r.Load.Why); err != nil {
			return err
		}
	}
	if c.JSON != "" {
		if err := report.WriteJSON(c.JSON, r); err != nil {
			return err
		}
	}
	if c.HTML != "" {
		return report.WriteHTML(c.HTML, r)
	}
	return nil
}

// picture shows the run on standard error.
func (p *program) picture() (show func(report.Live), done func()) {
	f, _ := p.stderr.(*os.File)
	plain := f == nil || !isatty.IsTerminal(f.Fd())
	picture := report.NewPicture(p.stderr, func() (int, int) { return terminalSize(f) }, plain)
	return func(l report.Live) { picture.Update(l) }, func() { picture.Close() }
}

type compareCmd struct {
	A string `arg:"" help:"The earlier result." placeholder:"A.json"`
	B string `arg:"" help:"The later result." placeholder:"B.json"`
}

// Run implements the command.
func (c *compareCmd) Run(p *program) error {
	a, err := report.ReadJSON(c.A)
	if err != nil {
		return usageError{err}
	}
	b, err := report.ReadJSON(c.B)
	if err != nil {
		return usageError{err}
	}
	worse, err := report.Compare(p.stdout, a, b)
	if err == nil && worse {
		err = errFailed
	}
	return err
}

type reportCmd struct {
	Result string `arg:"" help:"A result that --json of run or faults wrote." placeholder:"IN.json"`
	HTML   string `name:"html" help:"Write the page to this file." required:"" placeholder:"FILE"`
}

// Run implements the command.
func (c *reportCmd) Run() error {
	data, err := report.ReadWhole(c.Result)
	if err != nil {
		return usageError{err}
	}
	broken, ok, err := chaos.ParseResult(data)
	switch {
	case err != nil:
		return usageError{fmt.Errorf("%s: %w", c.Result, err)}
	case ok:
		return page.Write(c.HTML, broken)
	}
	r, err := report.ReadJSON(c.Result)
	if err != nil {
		return usageError{err}
	}
	return report.WriteHTML(c.HTML, r)
}

type scenariosCmd struct {
	Name string `arg:"" optional:"" help:"Print this one as YAML."`
}

// Run implements the command.
func (c *scenariosCmd) Run(p *program) error {
	if c.Name != "" {
		text, err := scenario.Source(c.Name)
		if err != nil {
			return usageError{err}
		}
		_, err = p.stdout.Write(text)
		return err
	}
	return listScenarios(p.stdout)
}

func listScenarios(w io.Writer) error {
	for _, name := range scenario.Names() {
		s, err := scenario.Load(name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%-16s %s\n", name, s.About); err != nil {
			return err
		}
	}
	return nil
}
