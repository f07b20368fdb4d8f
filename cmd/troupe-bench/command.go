package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
)

// commandPrefix marks the first argument that makes this program one of the
// small programs that the bench starts beside itself.
const commandPrefix = "run-"

// Names of the small programs.
const (
	commandWrites      = commandPrefix + "bare-writes"
	commandReader      = commandPrefix + "bare-reader"
	commandVendor      = commandPrefix + "vendor"
	commandNATS        = commandPrefix + "nats"
	commandRelay       = commandPrefix + "relay"
	commandRelayWorker = commandPrefix + "relay-worker"
)

// command is a small program: start returns where it listens, and how it answers
// a line that is none of those every program knows.
type command struct {
	start  func(ctx context.Context, args []string) (addr string, err error)
	answer func(line string) string
}

// commandMain runs the program until its standard input ends, so that it cannot
// outlive who started it. The line "memory" asks for the memory in use.
func commandMain(ctx context.Context, name string, args []string, stdin io.Reader, stdout io.Writer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c, err := commandNamed(name)
	if err != nil {
		return err
	}
	addr, err := c.start(ctx, args)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintln(stdout, "listening", addr)
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		switch {
		case lines.Text() == "memory":
			fmt.Fprintln(stdout, collected())
		case c.answer != nil:
			fmt.Fprintln(stdout, c.answer(lines.Text()))
		default:
			fmt.Fprintln(stdout, "error unknown line")
		}
	}
	return nil
}

func commandNamed(name string) (command, error) {
	switch name {
	case commandWrites:
		return command{start: writesMain}, nil
	case commandReader:
		r := &reader{}
		return command{start: r.main, answer: r.answer}, nil
	case commandVendor:
		return command{start: vendorMain}, nil
	case commandNATS:
		return command{start: natsMain}, nil
	case commandRelay:
		return command{start: relayMain}, nil
	case commandRelayWorker:
		return command{start: relayWorkerMain}, nil
	}
	return command{}, fmt.Errorf("there is no program %q in here", name)
}

// collected is the heap and the stacks in use after a collection; what is free
// goes back to the system, as troupe's does at rest.
func collected() uint64 {
	runtime.GC() // stacks shrink by half at a time
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// listenLoopback opens a port for a small program. It stays open until ctx ends.
func listenLoopback(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err == nil {
		context.AfterFunc(ctx, func() { _ = l.Close() })
	}
	return l, err
}
