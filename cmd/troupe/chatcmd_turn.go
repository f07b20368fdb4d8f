package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"unicode"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// conversation asks on one socket, one turn after the other. It runs in one
// goroutine; frames, lines and signals reach it by channels.
type conversation struct {
	ask        question // what every turn has in common
	client     *client
	frames     <-chan incoming
	interrupts <-chan os.Signal
	out, errs  io.Writer
	terminal   bool // out is one: control characters of a model must not reach it

	turns    int
	thinking bool   // the model's last words were no part of the answer
	printed  int    // bytes of the current answer that were shown
	last     string // the last piece that was shown
}

// turn asks once and streams the answer. A first interrupt asks the server to
// stop and waits for its word, a second one does not wait.
func (v *conversation) turn(ctx context.Context, text string) error {
	v.turns++
	v.printed, v.last, v.thinking = 0, "", false
	id := strconv.Itoa(v.turns)
	ask := v.ask
	ask.Type, ask.ID, ask.Content = protocol.TypeChat, id, text
	// Nobody could resume a run of a program that has ended.
	ask.OnDisconnect = protocol.OnDisconnectCancel
	if err := v.client.send(ctx, ask.encode()); err != nil {
		return err
	}
	cancelled := false
	for {
		select {
		case in := <-v.frames:
			if in.err != nil {
				v.endLine()
				return in.err
			}
			if over, err := v.take(id, in.frame); over {
				v.endLine()
				return err
			}
		case s := <-v.interrupts:
			if cancelled || s != os.Interrupt {
				v.endLine()
				return errQuit
			}
			cancelled = true
			if err := v.client.send(ctx, []byte(`{"type":"cancel","id":"`+id+`"}`)); err != nil {
				return err
			}
		case <-ctx.Done():
			return errQuit
		}
	}
}

// take handles one frame and tells whether the turn is over.
func (v *conversation) take(id string, f frame) (over bool, err error) {
	mine := f.ID == id
	switch {
	case mine && (f.Type == protocol.TypeChunk || f.Type == protocol.TypeSnapshot):
		v.show(f.Content)
	case mine && f.Type == protocol.TypeReasoning:
		fmt.Fprint(v.errs, printable(f.Content))
		v.thinking = true
	case mine && f.Type == protocol.TypeStatus && f.State == protocol.StateQueued && f.Position > 0:
		fmt.Fprintf(v.errs, "waiting for room, %d in front\n", f.Position-1)
	case mine && f.Type == protocol.TypeComplete:
		v.rest(f.FullResponse)
		return true, nil
	case mine && f.Type == protocol.TypeCancelled:
		v.rest(f.FullResponse)
		return true, errCancelled
	case f.Type == protocol.TypeError && f.For == "" && (mine || f.ID == ""):
		return true, f.trouble()
	}
	return false, nil // other status, reconnect, pong: nothing to show
}

func (v *conversation) show(text string) {
	if v.thinking && text != "" {
		v.thinking = false
		fmt.Fprintln(v.errs)
	}
	v.printed += len(text)
	if text == "" {
		return
	}
	if v.terminal {
		text = printable(text)
	}
	v.last = text
	fmt.Fprint(v.out, text)
}

// rest shows what a terminal event holds beyond the chunks.
func (v *conversation) rest(full string) {
	if v.printed < len(full) {
		v.show(full[v.printed:])
	}
}

func (v *conversation) endLine() {
	if v.printed > 0 && !strings.HasSuffix(v.last, "\n") {
		fmt.Fprintln(v.out)
	}
}

// printable drops what could drive a terminal: a model's output is hostile.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !unicode.Is(unicode.C, r) || r == '\u200d' || r == '\u200c' {
			return r
		}
		return -1
	}, text)
}

// converse asks line after line until the input or the person ends it.
func (v *conversation) converse(ctx context.Context, stdin io.Reader) error {
	lines := readLines(ctx, stdin, v.errs)
	for {
		fmt.Fprint(v.errs, "> ")
		text, err := v.nextLine(ctx, lines)
		if err != nil || text == "" {
			fmt.Fprintln(v.errs)
			return err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		err = v.turn(ctx, text)
		var t *trouble
		switch {
		case errors.Is(err, errCancelled):
			fmt.Fprintln(v.errs, "[cancelled]")
		case errors.As(err, &t) && !t.Closed:
			t.write(v.errs, "", "  ")
		case err != nil:
			return err
		}
	}
}

// nextLine waits for a line with its end; "" is the end of the conversation.
func (v *conversation) nextLine(ctx context.Context, lines <-chan string) (string, error) {
	for {
		select {
		case text := <-lines:
			return text, nil
		case <-v.interrupts:
			return "", nil
		case <-ctx.Done():
			return "", nil
		case in := <-v.frames:
			if in.err != nil {
				return "", in.err
			}
			if in.frame.Type == protocol.TypeError && in.frame.For == "" { // a cancel that came too late has its answer
				return "", in.frame.trouble()
			}
		}
	}
}

// readLines hands out the lines of stdin and is closed at its end. A read from
// a terminal cannot be interrupted: the goroutine ends with ctx at the latest
// after the next line, or with the process.
func readLines(ctx context.Context, stdin io.Reader, errs io.Writer) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		defer reportPanic(errs, "reading standard input")
		in := bufio.NewReaderSize(io.LimitReader(stdin, 64*maxQuestion), 4096)
		for {
			text, err := in.ReadString('\n')
			if text != "" {
				select {
				case lines <- text:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

// reportPanic keeps a panic of a helper goroutine from ending the program
// without a word. It never prints the value: it may hold a question.
func reportPanic(errs io.Writer, doing string) {
	if v := recover(); v != nil {
		fmt.Fprintf(errs, "troupe: panic while %s: %T\n%s\n", doing, v, debug.Stack())
	}
}
