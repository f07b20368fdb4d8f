package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	// treeQuickest bounds --every: each picture counts all actors of a server.
	treeQuickest = 100 * time.Millisecond
	treeTimeout  = 5 * time.Second
	treeBytes    = 16 << 20 // of an answer: 10,000 actors are a fifth of that
)

type treeCmd struct {
	URLs         []string      `arg:"" optional:"" name:"url" help:"Addresses of gateways, or of workers' own ports." default:"http://127.0.0.1:8000"`
	ID           string        `help:"Show this one actor." placeholder:"ACTOR"`
	Kind         string        `help:"List the actors of this kind, the largest mailbox first." placeholder:"KIND"`
	Once         bool          `help:"One picture, then end. So it is where the output is no terminal."`
	JSON         bool          `help:"One line of JSON for each address, then end."`
	Every        time.Duration `help:"How often to look." default:"1s" placeholder:"1s"`
	TokenFromEnv string        `help:"Read the admin token from this variable." placeholder:"NAME"`
}

// Help implements kong.HelpProvider.
func (treeCmd) Help() string {
	return `Who lives in a running troupe: actors, panics, returns, and what waits in mailboxes for how long. /s is since the picture before. Ctrl-C ends it.

Examples:
  troupe tree
  troupe tree http://127.0.0.1:8000 http://127.0.0.1:9000
  troupe tree --kind run --once
  TOKEN=... troupe tree https://chat.example.com --token-from-env TOKEN`
}

// Run implements the command.
func (c *treeCmd) Run(ctx context.Context, p *program) error {
	w, err := c.watch(p)
	if err != nil {
		return usageError{err}
	}
	defer w.http.CloseIdleConnections()
	switch {
	case c.JSON:
		return w.json(ctx)
	case c.Once || !isTerminal(p.stdout):
		return w.once(ctx)
	}
	interrupts, stop := p.signals(os.Interrupt, syscall.SIGTERM)
	defer stop()
	return w.live(ctx, c.Every, interrupts)
}

// watch makes of the command line what is to be watched.
func (c *treeCmd) watch(p *program) (*treeWatch, error) {
	w := &treeWatch{http: newHTTPClient(), query: url.Values{}, out: p.stdout, errs: p.stderr, size: func() (int, int) { return 0, 0 }}
	for _, raw := range c.URLs {
		base, err := parseTarget(raw)
		if err != nil {
			return nil, err
		}
		w.bases = append(w.bases, base)
	}
	switch {
	case c.ID != "" && c.Kind != "":
		return nil, errors.New("--id and --kind: give one of them")
	case c.ID != "":
		w.query.Set("id", c.ID)
	case c.Kind != "":
		w.query.Set("kind", c.Kind)
	}
	if c.Every < treeQuickest {
		return nil, fmt.Errorf("--every: at least %s", treeQuickest)
	}
	var err error
	if c.TokenFromEnv != "" {
		if w.token, err = secretFromEnv("--token-from-env", c.TokenFromEnv, p.env); err != nil {
			return nil, err
		}
	}
	if f, ok := p.stdout.(*os.File); ok && isTerminal(f) {
		w.size = func() (int, int) {
			columns, rows, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 0, 0 // nothing is cut then
			}
			return columns, rows
		}
		w.colour = !slices.ContainsFunc(p.env, func(pair string) bool {
			name, value, _ := strings.Cut(pair, "=")
			return name == "NO_COLOR" && value != "" || name == "TERM" && value == "dumb"
		})
	}
	return w, nil
}

// treeWatch looks at servers.
type treeWatch struct {
	bases     []*url.URL
	query     url.Values
	token     protocol.Secret
	http      *http.Client
	out, errs io.Writer
	size      func() (columns, rows int) // 0 = no bound
	colour    bool
}

// treeAnswer is what one server said, or why it did not.
type treeAnswer struct {
	base string
	protocol.Actors
	err error
}

// look asks all servers at once.
func (w *treeWatch) look(ctx context.Context) []treeAnswer {
	ctx, cancel := context.WithTimeout(ctx, treeTimeout)
	defer cancel()
	answers := make([]treeAnswer, len(w.bases))
	var asking sync.WaitGroup
	for i, base := range w.bases {
		asking.Go(func() {
			answers[i].base = base.String()
			answers[i].Actors, answers[i].err = w.ask(ctx, base)
		})
	}
	asking.Wait()
	return answers
}

func (w *treeWatch) ask(ctx context.Context, base *url.URL) (a protocol.Actors, err error) {
	address := base.JoinPath("api", "debug", "actors")
	address.RawQuery = w.query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return a, err
	}
	if !w.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+string(w.token.Reveal()))
	}
	resp, err := w.http.Do(req)
	if err != nil {
		t := explain(address, nil, err)
		if errors.Is(err, syscall.ECONNREFUSED) {
			t.Remedy += "; a worker listens on its http.admin_listen alone"
		}
		return a, t
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return a, w.refused(address, resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, treeBytes))
	if err != nil {
		return a, explain(address, nil, err)
	}
	if json.Unmarshal(body, &a) != nil || a.Role == "" {
		return a, &trouble{What: address.Host + " does not answer as Troupe does", Remedy: "give the address and port of Troupe, with the path a proxy puts before it"}
	}
	return a, nil
}

// refused says why a server showed nothing. To strangers the address does not
// exist, so whoever asks is told how to be none.
func (w *treeWatch) refused(address *url.URL, resp *http.Response) error {
	t := explainStatus(address, resp)
	switch {
	case resp.StatusCode == http.StatusBadRequest:
		t.Remedy = ""
	case resp.StatusCode != http.StatusNotFound:
	case strings.EqualFold(t.What, protocol.ErrNoActor.Error()+"."):
		t.Code, t.Remedy = "", "`troupe tree --kind KIND` lists those that live"
	case !w.token.Empty():
		t = &trouble{What: address.Host + " does not take this token", Remedy: "give the value of http.admin_token"}
	default:
		t = &trouble{
			What:   address.Host + " shows its actors to operators alone",
			Remedy: "run this on the server itself, give --token-from-env with the value of http.admin_token, or ask the port of http.admin_listen",
		}
	}
	return t
}

// once draws one picture. Servers that did not answer are told apart from it.
func (w *treeWatch) once(ctx context.Context) error {
	answers := w.look(ctx)
	columns, _ := w.size()
	told := slices.DeleteFunc(slices.Clone(answers), func(a treeAnswer) bool { return a.err != nil })
	for _, line := range drawTree(told, nil, columns, w.colour) {
		fmt.Fprintln(w.out, line)
	}
	return w.complain(answers)
}

// complain tells which servers did not answer.
func (w *treeWatch) complain(answers []treeAnswer) (failed error) {
	for _, a := range answers {
		if a.err != nil {
			failed = tell(w.errs, a.err)
		}
	}
	return failed
}

// json writes one line for each server that answered.
func (w *treeWatch) json(ctx context.Context) error {
	answers := w.look(ctx)
	for _, a := range answers {
		if a.err != nil {
			continue
		}
		line, err := json.Marshal(struct {
			URL string `json:"url"`
			protocol.Actors
		}{a.base, a.Actors})
		if err != nil {
			return fmt.Errorf("write the answer of %s: %w", a.base, err)
		}
		fmt.Fprintln(w.out, string(line))
	}
	return w.complain(answers)
}

// What a terminal is told around and before a picture.
const (
	screenEnter = "\x1b[?1049h\x1b[?25l" // the other screen, without a cursor
	screenLeave = "\x1b[?25h\x1b[?1049l"
	screenHome  = "\x1b[H"
	lineEnd     = "\x1b[K\r\n" // what was there before goes
	screenRest  = "\x1b[J"
)

// live draws until somebody interrupts. The terminal is as it was afterwards.
func (w *treeWatch) live(ctx context.Context, every time.Duration, interrupts <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-interrupts:
			cancel() // a look that is out ends with it
		case <-ctx.Done():
		}
	})
	defer waiting.Wait()
	defer cancel()
	fmt.Fprint(w.out, screenEnter)
	defer fmt.Fprint(w.out, screenLeave)
	next := time.NewTicker(every)
	defer next.Stop()
	var before []treeAnswer
	for {
		answers := w.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		w.show(answers, before)
		before = answers
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
	}
}

// show draws over what is there, in one write, as much as the terminal holds now.
func (w *treeWatch) show(answers, before []treeAnswer) {
	columns, rows := w.size()
	lines := drawTree(answers, before, max(0, columns-1), w.colour) // in the last column an end of line would take what is there
	if rows > 1 && len(lines) > rows {
		more := fmt.Sprintf("… %d more lines", len(lines)-rows+1)
		lines = append(lines[:rows-1], more)
	}
	// No line break behind the last one: it would move the picture up.
	fmt.Fprint(w.out, screenHome+strings.Join(lines, lineEnd)+"\x1b[K"+screenRest)
}
