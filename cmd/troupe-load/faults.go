package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/bus/natsrun"
	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos"
	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos/page"
	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
)

type faultsCmd struct {
	Scenario   string        `help:"A built-in scenario, also by its beginning (f01), or a YAML file." placeholder:"NAME|FILE"`
	List       bool          `help:"List the built-in scenarios."`
	Show       string        `help:"Print a built-in scenario as YAML." placeholder:"NAME"`
	Start      string        `help:"Start this: serve or fleet; else what the scenario says." placeholder:"serve|fleet"`
	URL        string        `help:"Break a server that runs already, as far as that goes from outside." placeholder:"URL"`
	Admin      string        `help:"Its operator's address; else the same host." placeholder:"URL"`
	AdminToken string        `help:"Its operator's token." env:"TROUPE_ADMIN_TOKEN" placeholder:"TOKEN"`
	Troupe     string        `help:"The server to start; else the one beside this program, or of PATH." placeholder:"PATH"`
	Duration   time.Duration `help:"How long questions are asked; else what the scenario says."`
	Seed       uint64        `help:"Of everything that is drawn; a red run says its own. 0: draw one."`
	Quick      bool          `help:"The short form: fewer streams."`
	JSON       string        `name:"json" short:"o" aliases:"output" help:"Write the result to this file." placeholder:"FILE"`
	HTML       string        `name:"html" help:"Write a page with a timeline to this file." placeholder:"FILE"`
	Picture    string        `help:"Draw the timeline to this file, as an SVG that stands alone." placeholder:"FILE"`
	Logs       string        `help:"Move the logs of a red run to this folder, which must not exist." placeholder:"DIR"`
	Quiet      bool          `help:"No picture while it runs."`
}

// Help implements kong.HelpProvider.
func (faultsCmd) Help() string {
	return `Breaks things under streams whose text it can tell beforehand, and says who was touched and whether the
invariants I1 to I9 held. docs/experiments.md has every key and every scenario.

Examples:
  troupe-load faults --list
  troupe-load faults --scenario f01 --quick
  troupe-load faults --scenario f06-kill-gateway --seed 7 --html report.html
  troupe-load faults --scenario mine.yaml --url wss://chat.example.com --admin http://127.0.0.1:9000

Exit codes: 0 nothing was broken that must hold, 1 something was, 2 wrong use.`
}

// Run implements the command.
func (c *faultsCmd) Run(ctx context.Context, p *program) error {
	switch {
	case c.List:
		return listFaults(p)
	case c.Show != "":
		_, text, err := chaos.Source(c.Show)
		if err != nil {
			return usageError{err}
		}
		_, err = p.stdout.Write(text)
		return err
	}
	plan, err := c.plan()
	if err != nil {
		return usageError{err}
	}
	o := c.options(p)
	result, err := chaos.Run(ctx, plan, o)
	if err != nil {
		return err
	}
	return c.write(p, result)
}

func (c *faultsCmd) plan() (*chaos.Plan, error) {
	if c.Scenario == "" {
		return nil, fmt.Errorf("--scenario is missing; --list shows what there is")
	}
	if c.URL != "" && c.Start != "" {
		return nil, fmt.Errorf("--url and --start: a server either runs already or is started")
	}
	plan, err := chaos.Load(c.Scenario)
	if err != nil {
		return nil, err
	}
	if c.URL != "" {
		if err := plan.Visit(); err != nil {
			return nil, err
		}
	}
	if c.Start != "" {
		if err := plan.StartAs(c.Start); err != nil {
			return nil, err
		}
	}
	if c.Quick {
		plan.Shorten()
	}
	if c.Duration > 0 {
		plan.Last(c.Duration)
	}
	if c.Seed == 0 {
		c.Seed = 1 + rand.Uint64N(1_000_000)
	}
	return plan, nil
}

func (c *faultsCmd) options(p *program) chaos.Options {
	o := chaos.Options{
		URL: c.URL, Admin: c.Admin, AdminToken: c.AdminToken, Troupe: c.Troupe, Seed: c.Seed, Quick: c.Quick, Tool: version(), Replay: c.replay(),
	}
	if self, err := os.Executable(); err == nil {
		o.NATS = []string{self, "nats"}
	}
	if !c.Quiet {
		o.Live = p.faultPicture()
	}
	if c.Logs != "" {
		o.KeepLogs = func(dir string) {
			if err := os.Rename(dir, c.Logs); err != nil {
				p.complain(fmt.Errorf("--logs: %w; they are in %s", err, dir))
			}
		}
	}
	return o
}

// replay is the command that plays the same again; without the token, which is a
// secret.
func (c *faultsCmd) replay() string {
	words := []string{"troupe-load", "faults", "--scenario", c.Scenario, "--seed", strconv.FormatUint(c.Seed, 10)}
	for _, f := range []struct{ name, value string }{{"--start", c.Start}, {"--url", c.URL}, {"--admin", c.Admin}, {"--troupe", c.Troupe}} {
		if f.value != "" {
			words = append(words, f.name, f.value)
		}
	}
	if c.Duration > 0 {
		words = append(words, "--duration", c.Duration.String())
	}
	if c.Quick {
		words = append(words, "--quick")
	}
	return strings.Join(words, " ")
}

func (c *faultsCmd) write(p *program, r *chaos.Result) error {
	if err := chaos.Summary(p.stdout, r); err != nil {
		return err
	}
	if c.JSON != "" {
		data, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := report.WriteWhole(c.JSON, append(data, '\n')); err != nil {
			return err
		}
	}
	if c.HTML != "" {
		if err := page.Write(c.HTML, r); err != nil {
			return err
		}
	}
	if c.Picture != "" {
		if err := report.WriteWhole(c.Picture, page.Picture(r)); err != nil {
			return err
		}
	}
	if !r.Green {
		return errFailed
	}
	return nil
}

func listFaults(p *program) error {
	for _, name := range chaos.Names() {
		plan, err := chaos.Load(name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(p.stdout, "%-28s %-4s %s\n", name, plan.Fault, plan.About); err != nil {
			return err
		}
	}
	return nil
}

// natsCmd is NATS for a fleet, so that nobody has to install one.
type natsCmd struct {
	Address string `arg:"" help:"A loopback address with a port."`
}

// Run implements the command.
func (c *natsCmd) Run(ctx context.Context, p *program) error {
	return natsrun.Run(ctx, c.Address, p.stdout)
}
