// Command troupe-load puts a load on a server that streams over WebSockets, this
// project's or any other, and says what came of it: how long things took, what
// was lost, and whether the tool itself was the bound. Start with:
// troupe-load run --scenario paced --duration 10s
//
// Exit codes: 0 fine, 1 a check failed or nobody could be reached, 2 bad usage.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
