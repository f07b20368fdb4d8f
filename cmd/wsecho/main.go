// Command wsecho sends every WebSocket message back. It puts an echo directly
// above the connection code of Troupe, so that conformance suites and load
// tools can judge that code alone. It is no part of any server.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/troupe-chat/troupe/transport"
)

const stopTime = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends. It returns the exit code: 2 for bad usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("wsecho", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:9001", "host:port")
	most := flags.Int("max", 16<<20, "bytes of one message, all fragments together")
	reader := flags.String("reader", transport.ReaderAuto, "who reads: "+transport.ReaderGoroutine+", "+transport.ReaderLoop+" or, whichever is the default here, "+transport.ReaderAuto)
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || *most < 1 {
		fmt.Fprintln(stderr, "wsecho: give flags alone, and -max above 0")
		return 2
	}
	log := zerolog.New(zerolog.ConsoleWriter{Out: stderr, NoColor: true}).Level(zerolog.WarnLevel)
	s, err := transport.NewEcho(transport.EchoOptions{Listen: []string{*listen}, Reader: *reader, MaxMessageBytes: *most, Log: log})
	if err == nil {
		err = s.Start(ctx)
	}
	if err != nil {
		fmt.Fprintln(stderr, "wsecho:", err)
		return 1
	}
	fmt.Fprintf(stdout, "echoing at ws://%s/\n", s.Addrs()[0])
	select {
	case <-ctx.Done():
	case err = <-s.Failed():
		fmt.Fprintln(stderr, "wsecho:", err)
	}
	stopping, done := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer done()
	if err2 := s.Shutdown(stopping); err != nil || err2 != nil {
		return 1
	}
	return 0
}
