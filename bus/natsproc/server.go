// Package natsproc runs real nats-server processes on 127.0.0.1, for whoever
// kills, stops, freezes or clusters them. Nothing here is part of a Troupe
// process; the tests and the fleet harness use it.
//
// A Server keeps its client port, and in a Cluster its other ports, from the
// first start on. Start and Cluster block until clients are accepted, and Kill
// and Stop until the process has ended (TestServerComesBackOnItsPort,
// TestClusterHealsAfterAKill). Methods may be called from any goroutine; a Kill
// ends a Start or a Stop under way. A server dies with this process where the
// system can do it, see package child. What it logs is passed on; only its last
// 2 KiB are kept, for the error of a failed start.
package natsproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/troupe-chat/troupe/bus/natsproc/child"
)

// startTimeout bounds a start on a busy machine.
const startTimeout = 30 * time.Second

// portAttempts is how many ports a first start may find taken.
const portAttempts = 3

// Options of one server.
type Options struct {
	Dir    string    // exists; holds <Name>.conf, and <Name>.log without a Log
	Name   string    // the server's name, also of its files; empty = nats
	Port   int       // for clients; 0 = a free one
	Config string    // further lines of the configuration file
	Log    io.Writer // what the server says, from one goroutine at a time; nil = <Dir>/<Name>.log, appended
}

// Server is a nats-server process on 127.0.0.1. It keeps its port over restarts.
type Server struct {
	// Set once.
	o       Options
	binary  string
	monitor int // port; 0 outside of a cluster

	starting sync.Mutex // one Start at a time

	mu   sync.Mutex // guards what follows; never held while something is awaited
	port int
	proc *child.Process // nil before the first start
}

var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Start builds nats-server if need be, writes its configuration, runs it and
// returns when it listens. ctx bounds the start, not the server's life; once
// built, nats-server gets 30 seconds at most.
func Start(ctx context.Context, o Options) (*Server, error) {
	s, err := newServer(ctx, o)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		if err = s.choosePort(); err != nil {
			return nil, err
		}
		if err = s.Start(ctx); err == nil {
			return s, nil
		}
		if o.Port != 0 || attempt == portAttempts || ctx.Err() != nil || s.portFree() {
			return nil, err
		}
	}
}

func newServer(ctx context.Context, o Options) (*Server, error) {
	if o.Name == "" {
		o.Name = "nats"
	}
	if !fileName.MatchString(o.Name) {
		return nil, fmt.Errorf("natsproc: Name %q is not usable as a file name: letters, digits, dot, dash, at most 64", o.Name)
	}
	path, err := Binary(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, binary: path}
	config := fmt.Sprintf("server_name: %q\n%s\n", o.Name, o.Config)
	if err := os.WriteFile(s.configFile(), []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("natsproc: Dir must be a folder that exists: %w", err)
	}
	return s, nil
}

func (s *Server) configFile() string { return filepath.Join(s.o.Dir, s.o.Name+".conf") }

func (s *Server) choosePort() error {
	port, err := s.o.Port, error(nil)
	if port == 0 {
		port, err = FreePort()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.port = port
	return err
}

func (s *Server) portFree() bool {
	l, _ := tryPort(s.currentPort())
	if l == nil {
		return false
	}
	_ = l.Close()
	return true
}

func (s *Server) currentPort() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port
}

// Addr is the host and port where clients connect. It stays the same over
// restarts.
func (s *Server) Addr() string { return loopback(s.currentPort()) }

// URL is Addr as NATS clients want it.
func (s *Server) URL() string { return "nats://" + s.Addr() }

// Start runs the server again, on its old port, and returns when it listens. A
// server that runs already is an error.
func (s *Server) Start(ctx context.Context) error {
	s.starting.Lock()
	defer s.starting.Unlock()
	if s.Running() {
		return fmt.Errorf("natsproc: %s runs already", s.o.Name)
	}
	ctx, stop := context.WithTimeoutCause(ctx, startTimeout, errors.New("it is still not listening"))
	defer stop()
	watch, proc, err := s.launch()
	if err != nil {
		return fmt.Errorf("natsproc: %s: %w", s.o.Name, err)
	}
	s.setProcess(proc)
	select {
	case <-watch.ready:
		return nil
	case <-proc.Done():
		return fmt.Errorf("natsproc: %s ended before it listened: %s", s.o.Name, watch.lastLines())
	case <-ctx.Done():
		proc.Kill()
		return fmt.Errorf("natsproc: %s did not start: %w: %s", s.o.Name, context.Cause(ctx), watch.lastLines())
	}
}

func (s *Server) launch() (*logWatch, *child.Process, error) {
	log, closers := s.o.Log, []io.Closer(nil)
	if log == nil {
		f, err := os.OpenFile(filepath.Join(s.o.Dir, s.o.Name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, nil, err
		}
		log, closers = f, []io.Closer{f}
	}
	watch := newLogWatch(log)
	cmd := exec.Command(s.binary, "-a", "127.0.0.1", "-p", strconv.Itoa(s.currentPort()), "-c", s.configFile())
	cmd.Stderr = watch
	proc, err := child.Start(cmd, closers...)
	return watch, proc, err
}

func (s *Server) process() *child.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

func (s *Server) setProcess(p *child.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = p
}

// Running tells whether the process lives; a frozen one does.
func (s *Server) Running() bool {
	proc := s.process()
	return proc != nil && proc.Running()
}

// Kill ends the server at once, without a word to its clients, frozen or not.
// Killing one that does not run does nothing.
func (s *Server) Kill() {
	if proc := s.process(); proc != nil {
		proc.Kill()
	}
}

// Stop asks the server to end and waits. When ctx ends first the server is left
// as it is; a frozen one hears of it only after Thaw.
func (s *Server) Stop(ctx context.Context) error {
	proc := s.process()
	if proc == nil || !proc.Running() {
		return nil
	}
	if err := proc.Terminate(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("natsproc: stop %s: %w", s.o.Name, err)
	}
	if _, err := proc.Wait(ctx); err != nil {
		return fmt.Errorf("natsproc: stop %s: %w", s.o.Name, err)
	}
	return nil
}

// Freeze stops the process without closing a connection, where the system can.
func (s *Server) Freeze() error { return s.signal("freeze", (*child.Process).Pause) }

// Thaw ends a Freeze.
func (s *Server) Thaw() error { return s.signal("thaw", (*child.Process).Resume) }

func (s *Server) signal(verb string, send func(*child.Process) error) error {
	proc := s.process()
	if proc == nil {
		return fmt.Errorf("natsproc: %s %s: it does not run", verb, s.o.Name)
	}
	if err := send(proc); err != nil {
		return fmt.Errorf("natsproc: %s %s: %w", verb, s.o.Name, err)
	}
	return nil
}
