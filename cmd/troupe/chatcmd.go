package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// maxQuestion bounds what is read from a pipe; servers take less.
const maxQuestion = 1 << 20

type chatCmd struct {
	URL        string   `help:"Address of the server: ws, wss, http or https." default:"ws://127.0.0.1:8000" placeholder:"URL"`
	Provider   string   `help:"Provider to ask; else the server's default."`
	Model      string   `help:"Model to ask; else the provider's default."`
	Session    string   `help:"Session id: a label, not a secret." default:"cli"`
	Product    string   `help:"Ask by the customer address of this product." placeholder:"ID"`
	System     string   `help:"System prompt." placeholder:"TEXT"`
	KeyFromEnv string   `help:"Send the API key of this variable for --provider. No key is sent without it." placeholder:"NAME"`
	Reasoning  bool     `help:"Show what the model thinks aloud, on standard error."`
	Text       []string `arg:"" optional:"" help:"The question. Without it: standard input, or a conversation on a terminal."`
}

// Help implements kong.HelpProvider.
func (chatCmd) Help() string {
	return `The answer streams to standard output, everything else goes to standard error. Ctrl-C stops the answer, a second one quits.

Examples:
  troupe chat Hello
  troupe chat
  echo "Sum this up" | troupe chat --provider openai --model gpt-4.1 --key-from-env OPENAI_API_KEY
  troupe chat --url https://chat.example.com --product 11 "Is it waterproof?"`
}

var (
	errCancelled = errors.New("the answer was cancelled")
	errQuit      = errors.New("interrupted")
)

// Run implements the command.
func (c *chatCmd) Run(ctx context.Context, p *program) error {
	base, err := parseTarget(c.URL)
	if err != nil {
		return usageError{err}
	}
	key, err := c.key(p.env)
	if err != nil {
		return usageError{err}
	}
	text := strings.Join(c.Text, " ")
	interactive := text == "" && isTerminal(p.stdin)
	if text == "" && !interactive {
		if text, err = readQuestion(p.stdin); err != nil {
			return usageError{err}
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	connected, err := dial(ctx, chatAddress(base, c.Session, c.Product), http.Header{})
	if err != nil {
		return tell(p.stderr, err)
	}
	defer connected.close()
	interrupts, stop := p.signals(os.Interrupt, syscall.SIGTERM) // before, a signal ends the program as it ends any
	defer stop()

	v := &conversation{
		ask:        question{Provider: c.Provider, Model: c.Model, System: c.System, Reasoning: c.Reasoning, key: key},
		client:     connected,
		frames:     connected.frames(ctx, p.stderr),
		interrupts: interrupts,
		out:        p.stdout,
		errs:       p.stderr,
		terminal:   isTerminal(p.stdout),
	}
	if interactive {
		err = v.converse(ctx, p.stdin)
	} else {
		err = v.turn(ctx, text)
	}
	if err == nil {
		connected.leave(ctx)
	}
	return tell(p.stderr, err)
}

// key takes the one key that --key-from-env names. Nothing else is ever sent.
func (c *chatCmd) key(env []string) (protocol.Secret, error) {
	if c.KeyFromEnv == "" {
		return protocol.Secret{}, nil
	}
	if c.Provider == "" {
		return protocol.Secret{}, errors.New("--key-from-env needs --provider, or the key could reach the wrong vendor")
	}
	return secretFromEnv("--key-from-env", c.KeyFromEnv, env)
}

func secretFromEnv(flag, name string, env []string) (protocol.Secret, error) {
	for _, pair := range env {
		if value, ok := strings.CutPrefix(pair, name+"="); ok && value != "" {
			return protocol.NewSecret([]byte(strings.TrimSpace(value))), nil
		}
	}
	return protocol.Secret{}, fmt.Errorf("%s: the variable %q is not set", flag, name)
}

func readQuestion(stdin io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(stdin, maxQuestion+1))
	text := strings.TrimSpace(string(data))
	switch {
	case err != nil:
		return "", fmt.Errorf("read the question: %w", err)
	case len(data) > maxQuestion:
		return "", fmt.Errorf("the question is longer than %d bytes", maxQuestion)
	case text == "":
		return "", errors.New("no question: give it as an argument or on standard input")
	}
	return text, nil
}

// tell writes what went wrong to a person; the caller then exits 1.
func tell(w io.Writer, err error) error {
	if err == nil {
		return nil
	}
	var t *trouble
	if !errors.As(err, &t) {
		t = &trouble{What: err.Error()}
	}
	t.write(w, "troupe: ", "        ")
	return errReported
}
