package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	checkTimeout = 15 * time.Second
	// checkSession is always the same, so that checking often counts as one
	// session and never eats up the limit it reports.
	checkSession = "troupe-check"
	// strangeOrigin is nobody's: .invalid is reserved for names that never exist.
	strangeOrigin = "https://troupe-check.invalid"
)

type checkCmd struct {
	URL          string `arg:"" optional:"" help:"Address of the server." default:"http://127.0.0.1:8000"`
	Quick        bool   `help:"Health alone, for health checks."`
	Provider     string `help:"Provider of the trial question; else the server's default."`
	Model        string `help:"Model of the trial question."`
	TokenFromEnv string `help:"Read the admin token from this variable, to see the limits from afar." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (checkCmd) Help() string {
	return `Health, the upgrade with the page's own, no and a strange origin, one question, and the limits: one line each, with what to do about a failure. It ends within 15 seconds; exit 1 on a failure.

Examples:
  troupe check
  troupe check https://chat.example.com --provider echo
  troupe check --quick`
}

// Run implements the command.
func (c *checkCmd) Run(ctx context.Context, p *program) error {
	base, err := parseTarget(c.URL)
	if err != nil {
		return usageError{err}
	}
	var token protocol.Secret
	if c.TokenFromEnv != "" {
		if token, err = secretFromEnv("--token-from-env", c.TokenFromEnv, p.env); err != nil {
			return usageError{err}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	k := &check{base: base, out: p.stdout, http: newHTTPClient(), token: token, ask: question{Provider: c.Provider, Model: c.Model}}
	defer k.http.CloseIdleConnections()

	k.step("health", k.health(ctx))
	// Without an answer at all every further line would say the same.
	switch {
	case c.Quick || !k.reached:
	case k.worker:
		k.step("chat", outcome{skipped: true, note: "a worker takes no clients; check a gateway for the rest"})
	default:
		k.step("upgrade with the page's own origin", k.upgrade(ctx, base.Scheme+"://"+base.Host))
		k.step("upgrade without an origin", k.upgrade(ctx, ""))
		k.step("strange origin is refused", k.refused(ctx))
		k.step("chat", k.chat(ctx))
		k.step("limits", k.limits(ctx))
	}
	if k.failed {
		return errReported
	}
	return nil
}

// check goes through the steps and remembers whether one failed.
type check struct {
	base  *url.URL
	out   io.Writer
	http  *http.Client
	token protocol.Secret
	ask   question

	reached bool // Troupe answered
	worker  bool // and is a worker, on its operators' port
	failed  bool
}

// outcome is how a step went: a note, a trouble, or a reason to skip it.
type outcome struct {
	note    string
	trouble *trouble
	skipped bool
}

func (k *check) step(name string, o outcome) {
	switch {
	case o.trouble != nil:
		k.failed = true
		o.trouble.write(k.out, "✗ "+name+": ", "  → ")
	case o.skipped:
		fmt.Fprintln(k.out, "– "+name+": "+oneLine(o.note))
	case o.note != "":
		fmt.Fprintln(k.out, "✓ "+name+": "+oneLine(o.note))
	default:
		fmt.Fprintln(k.out, "✓ "+name)
	}
}
