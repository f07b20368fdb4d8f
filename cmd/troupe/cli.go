package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/config"
)

// cli is the table of commands.
type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run gateway, worker and bus in one process."`
	Gateway gatewayCmd `cmd:"" help:"Run a gateway: it holds sockets and needs an external NATS."`
	Worker  workerCmd  `cmd:"" help:"Run a worker: it asks model vendors and needs an external NATS."`
	Chat    chatCmd    `cmd:"" help:"Ask a running troupe from the terminal."`
	Check   checkCmd   `cmd:"" help:"Check a running troupe from the outside."`
	Tree    treeCmd    `cmd:"" help:"Show the actors of a running troupe."`
	Config  configCmd  `cmd:"" help:"Check, print or document the configuration."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// serveParams is what a server is started with.
type serveParams struct {
	Role   string // serve, gateway, worker
	Dev    bool
	Config *config.Config
	Report *config.Report
	Reload func() (*config.Config, error) // reads and checks everything anew
	Hangup <-chan os.Signal               // SIGHUP: reload

	Stdout, Stderr io.Writer
	Log            zerolog.Logger
	SetLevel       func(zerolog.Level)
	Version        string
}

// program is one call of troupe and what it may touch.
type program struct {
	env     []string
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
	signals func(...os.Signal) (<-chan os.Signal, func())
	exit    func(int)

	flags []string // --pool.max_per_ip=5 and the like, taken out before kong
}

// usageError is a mistake in the command line or the configuration: exit 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errReported ends with exit 1 after the reason was told where it belongs.
var errReported = errors.New("reported already")

func (p *program) run(ctx context.Context, args []string) int {
	err := p.dispatch(ctx, args)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		p.complain(err)
		return 2
	case !errors.Is(err, errReported):
		p.complain(err)
	}
	return 1
}

// complain writes every line of err as a line of its own.
func (p *program) complain(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(p.stderr, "troupe: "+line)
	}
}

func (p *program) dispatch(ctx context.Context, args []string) error {
	if takesKeys(args) {
		p.flags, args = config.SplitFlags(args)
	}
	var helped bool
	parser, err := kong.New(&cli{},
		kong.Name("troupe"),
		kong.Description("Streaming LLM chat over WebSockets.\n\nTry: troupe serve --dev, then: troupe chat Hello"),
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
		return usageError{fmt.Errorf("%s; `troupe --help` shows the commands", withoutValues(err.Error(), args))}
	}
	return command.Run()
}

// takesKeys tells whether the command obeys the configuration. For the others a
// flag with a dot is a mistake, or part of a question.
func takesKeys(args []string) bool {
	i := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") })
	return i < 0 || !slices.Contains([]string{"chat", "check", "tree", "version"}, args[i])
}

const helpKeys = `Every key of the configuration is a flag, a variable and a line of the file: --pool.max_per_ip=5, TROUPE_POOL_MAX_PER_IP=5, "pool: {max_per_ip: 5}". "troupe config docs" lists them.`

type configFile struct {
	Config string `help:"Configuration file; else TROUPE_CONFIG, else ./troupe.yaml if it is there." placeholder:"FILE"`
}

type serveCmd struct {
	configFile
	Dev bool `help:"For development: listen on 127.0.0.1:8000 and widen what a developer trips over."`
}

// Help implements kong.HelpProvider.
func (serveCmd) Help() string {
	return helpKeys + `

Examples:
  troupe serve --dev
  troupe serve --http.listen=:8001 --default_provider=openai
  OPENAI_API_KEY=... troupe serve --config /etc/troupe.yaml

SIGTERM and SIGINT drain, a second one ends at once. SIGHUP reloads what can change live.`
}

// Run implements the command.
func (c *serveCmd) Run(ctx context.Context, p *program) error {
	return p.serve(ctx, roleServe, c.configFile, c.Dev)
}

type gatewayCmd struct{ configFile }

// Help implements kong.HelpProvider.
func (gatewayCmd) Help() string {
	return helpKeys + "\n\nExample:\n  troupe gateway --bus.url=nats://nats:4222"
}

// Run implements the command.
func (c *gatewayCmd) Run(ctx context.Context, p *program) error {
	return p.serve(ctx, roleGateway, c.configFile, false)
}

type workerCmd struct{ configFile }

// Help implements kong.HelpProvider.
func (workerCmd) Help() string {
	return helpKeys + `

Examples:
  troupe worker --bus.url=nats://nats:4222 --worker.max_runs=200
  troupe worker --bus.url=nats://nats:4222 --http.admin_listen=:9000

With http.admin_listen a worker answers /livez, /readyz, /api/health and /metrics there; else it listens nowhere.`
}

// Run implements the command.
func (c *workerCmd) Run(ctx context.Context, p *program) error {
	return p.serve(ctx, roleWorker, c.configFile, false)
}

// loaded is a configuration ready to be obeyed.
type loaded struct {
	config  *config.Config
	report  *config.Report
	widened []string // what --dev did
}

// load reads the configuration as serve and gateway see it.
func (p *program) load(file configFile, dev bool) (loaded, error) {
	return p.loadFor(roleServe, file, dev)
}

// loadFor reads the configuration; an error is ready for exit 2. The report's
// warnings then hold everything worth a line at a start in this role.
func (p *program) loadFor(role string, file configFile, dev bool) (loaded, error) {
	c, r, err := config.Load(config.Sources{Args: p.flags, Env: p.env, ConfigFile: file.Config})
	if err != nil {
		return loaded{report: r}, usageError{err}
	}
	l := loaded{config: c, report: r}
	if dev {
		if l.widened, err = config.Dev(c, r); err != nil {
			return l, usageError{err}
		}
	}
	if role == roleWorker {
		r.Warnings = append(r.Warnings, c.WorkerCautions(r)...)
		return l, nil
	}
	r.Warnings = append(r.Warnings, c.Cautions()...)
	return l, nil
}

// serve starts a server and stays until it has ended.
func (p *program) serve(ctx context.Context, role string, file configFile, dev bool) error {
	l, err := p.loadFor(role, file, dev)
	if err != nil {
		return err
	}
	if role != roleServe && l.config.Bus.URL == "" {
		return usageError{fmt.Errorf("bus.url: is empty; a %s meets the others over an external NATS: give --bus.url=nats://host:4222, or run `troupe serve`", role)}
	}
	files := l.config.HTTP.TLS
	if role == roleWorker {
		files = l.config.HTTP.ForWorker().TLS
	}
	if err := files.Check(); err != nil {
		return usageError{err}
	}
	log, output := newLogger(p.stderr, l.config.Log)
	defer output.flush()
	logWarnings(log, l.report)
	for _, line := range l.widened {
		log.Info().Msg("--dev: " + line)
	}
	ctx, stop := p.untilSignal(ctx, log, output.flush)
	defer stop()
	hangups, stopHangups := p.signals(syscall.SIGHUP)
	defer stopHangups()

	err = serve(ctx, serveParams{
		Role: role, Dev: dev, Config: l.config, Report: l.report,
		Reload: func() (*config.Config, error) {
			l, err := p.loadFor(role, file, dev)
			if err == nil {
				logWarnings(log, l.report)
			}
			return l.config, err
		},
		Hangup: hangups, Stdout: p.stdout, Stderr: p.stderr,
		Log: log, SetLevel: output.setLevel, Version: version(),
	})
	var usage usageError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &usage):
		return err
	}
	log.Error().Err(err).Msg("troupe ended with an error")
	return errReported
}

func logWarnings(log zerolog.Logger, r *config.Report) {
	for _, line := range r.Warnings {
		log.Warn().Msg(line)
	}
}

// lastLines is what a second signal waits for the log: whoever reads it may have
// stopped.
const lastLines = 100 * time.Millisecond

// atMost runs do, and returns when it has ended or after at most so long.
func atMost(most time.Duration, do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }() // whoever waits is about to end the process
		do()
	}()
	select {
	case <-done:
	case <-time.After(most):
	}
}

// untilSignal cancels the context at the first SIGINT or SIGTERM, which drains,
// and ends the process at the second, as soon as the log is out.
func (p *program) untilSignal(ctx context.Context, log zerolog.Logger, flush func()) (context.Context, func()) {
	signals, stopSignals := p.signals(os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer func() {
			if v := recover(); v != nil {
				log.Error().Bytes("stack", debug.Stack()).Msgf("panic while waiting for signals: %T", v)
			}
		}()
		select {
		case <-signals:
			cancel() // the server says that it drains
		case <-over:
			return
		}
		select {
		case <-signals:
			atMost(lastLines, flush)
			p.exit(1)
		case <-over:
		}
	}()
	return ctx, func() {
		stopSignals()
		close(over)
		cancel()
	}
}

// longestWord is what a mistyped command or flag is at most.
const longestWord = 32

// withoutValues takes out of a complaint what an argument may hold of a secret:
// whatever stands behind a "=", and what is too long for a word that was meant
// to be a command.
func withoutValues(complaint string, args []string) string {
	for _, arg := range args {
		name, value, assigned := strings.Cut(arg, "=")
		if len(name) > longestWord {
			name = name[:longestWord/4]
		} else if !assigned || value == "" {
			continue
		}
		complaint = strings.ReplaceAll(complaint, arg, name+"…")
	}
	return complaint
}
