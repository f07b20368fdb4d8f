package main

import (
	"fmt"

	"github.com/troupe-chat/troupe/config"
	"github.com/troupe-chat/troupe/transport"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Check the configuration and say what is worth knowing; exit 2 on a problem."`
	Print configPrintCmd `cmd:"" help:"Print what is in effect and where it came from, secrets redacted."`
	Docs  configDocsCmd  `cmd:"" help:"Print every key as Markdown."`
}

// Help implements kong.HelpProvider.
func (configCmd) Help() string {
	return helpKeys + `

Examples:
  troupe config check --config /etc/troupe.yaml
  troupe config print --pool.max_per_ip=5
  troupe config docs > configuration.md`
}

type configCheckCmd struct {
	configFile
	Dev bool `help:"As serve --dev would see it."`
}

// Run implements the command.
func (c *configCheckCmd) Run(p *program) error {
	l, err := p.load(c.configFile, c.Dev)
	if l.report != nil && err != nil {
		p.warn(l.report.Warnings) // a misspelled variable may explain the problem
	}
	if err != nil {
		return err
	}
	p.warn(l.report.Warnings)
	if err := l.config.HTTP.TLS.Check(); err != nil {
		return usageError{err}
	}
	from := "no file"
	if l.report.File != "" {
		from = "file " + l.report.File
	}
	fmt.Fprintf(p.stdout, "configuration is fine (%s)\n", from)
	for _, line := range l.widened {
		fmt.Fprintln(p.stdout, "--dev: "+line)
	}
	soft, _, err := transport.DescriptorLimit()
	if err != nil {
		p.warn([]string{"the descriptor limit cannot be read: " + err.Error()})
		return nil
	}
	if soft > 0 { // 0 where the system has no limit that could be named
		fmt.Fprintln(p.stdout, descriptors(soft, l.config))
	}
	return nil
}

func (p *program) warn(lines []string) {
	for _, line := range lines {
		fmt.Fprintln(p.stdout, "warning: "+line)
	}
}

// descriptors compares what the system gives with what the configuration wants.
func descriptors(soft uint64, c *config.Config) string {
	want := c.Pool.MaxConnections + c.Worker.MaxRuns + descriptorReserve
	line := fmt.Sprintf("pool.max_connections %d + worker.max_runs %d + %d of reserve need %d of %d descriptors", c.Pool.MaxConnections, c.Worker.MaxRuns, descriptorReserve, want, soft)
	if uint64(want) <= soft {
		return line
	}
	room := connectionRoom(soft, c)
	return fmt.Sprintf("warning: %s: at start pool.max_connections is capped to %d; raise the limit (ulimit -n, LimitNOFILE) or lower the keys", line, room)
}

// connectionRoom is how many connections the system's descriptors leave, beside
// one for each run's provider call and the reserve. Where there are few, the
// connections still get a quarter: runs of a model nearby need none of theirs.
func connectionRoom(soft uint64, c *config.Config) int {
	all := int(min(soft, 1<<30))
	return max(1, all/4, all-c.Worker.MaxRuns-descriptorReserve)
}

type configPrintCmd struct {
	configFile
	Dev bool `help:"As serve --dev would see it."`
}

// Run implements the command.
func (c *configPrintCmd) Run(p *program) error {
	l, err := p.load(c.configFile, c.Dev)
	if err != nil {
		return err
	}
	return l.config.Print(p.stdout, l.report)
}

type configDocsCmd struct{}

// Run implements the command.
func (configDocsCmd) Run(p *program) error { return config.Docs(p.stdout) }
