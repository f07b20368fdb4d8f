package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// started runs the program as a shell would and returns what it said.
func started(t *testing.T, env []string, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs lockedBuffer
	code = run(t.Context(), args, env, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestExitCodes(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("pool:\n  max_per_ip: x\n"), 0o600))
	tests := []struct {
		name   string
		args   []string
		env    []string
		code   int
		stderr string
	}{
		{"version", []string{"version"}, nil, 0, ""},
		{"help", []string{"--help"}, nil, 0, ""},
		{"help of a command with an argument missing", []string{"config", "--help"}, nil, 0, ""},
		{"nothing", nil, nil, 2, "troupe: expected one of \"serve\", \"gateway\", \"worker\", \"chat\", \"check\", ...; `troupe --help` shows the commands\n"},
		{"unknown command", []string{"frobnicate"}, nil, 2, "troupe: unexpected argument frobnicate; `troupe --help` shows the commands\n"},
		{"a variable behind the command", []string{"serve", "OPENAI_API_KEY=sk-canary"}, nil, 2, "troupe: unexpected argument OPENAI_API_KEY…; `troupe --help` shows the commands\n"},
		{"a key behind the command", []string{"serve", "sk-canary-0123456789-0123456789-0123456789"}, nil, 2, "troupe: unexpected argument sk-canar…; `troupe --help` shows the commands\n"},
		{"key on a command that has none", []string{"check", "--pool.max_per_ip=1"}, nil, 2, "troupe: unknown flag --pool.max_per_ip; `troupe --help` shows the commands\n"},
		{"unknown key", []string{"serve", "--pool.max_perip=1"}, nil, 2, "troupe: pool.max_perip: unknown key; did you mean pool.max_per_ip? (from flag --pool.max_perip)\n"},
		{"two problems are two lines", []string{"config", "check", "--pool.max_per_ip=a"}, []string{"TROUPE_RUNS_GRACE=b"}, 2, "troupe: runs.grace: \"b\" is not allowed: must be a duration with its unit, as in 500ms, 30s or 5m (from env TROUPE_RUNS_GRACE)\ntroupe: pool.max_per_ip: \"a\" is not allowed: must be a whole number (from flag --pool.max_per_ip)\n"},
		{"broken file", []string{"serve", "--config", broken}, nil, 2, "troupe: pool.max_per_ip: \"x\" is not allowed: must be a whole number (from file " + broken + ":2)\n"},
		{"dev on every address", []string{"serve", "--dev", "--http.listen=0.0.0.0:8000"}, nil, 2, "troupe: http.listen: \"0.0.0.0:8000\" is not allowed: --dev widens the limits and so listens on this machine alone; use 127.0.0.1, or leave --dev off (from flag --http.listen)\n"},
		{"gateway without a bus", []string{"gateway"}, nil, 2, "troupe: bus.url: is empty; a gateway meets the others over an external NATS: give --bus.url=nats://host:4222, or run `troupe serve`\n"},
		{"worker without a bus", []string{"worker"}, nil, 2, "troupe: bus.url: is empty; a worker meets the others over an external NATS: give --bus.url=nats://host:4222, or run `troupe serve`\n"},
		{"check of no address", []string{"check", "ftp://x"}, nil, 2, "troupe: \"ftp://x\": the scheme must be ws, wss, http or https\n"},
		{"chat without a question", []string{"chat"}, nil, 2, "troupe: no question: give it as an argument or on standard input\n"},
		{"key without a provider", []string{"chat", "--key-from-env=K", "hi"}, []string{"K=v"}, 2, "troupe: --key-from-env needs --provider, or the key could reach the wrong vendor\n"},
		{"key that is not set", []string{"chat", "--provider=openai", "--key-from-env=K", "hi"}, nil, 2, "troupe: --key-from-env: the variable \"K\" is not set\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code, _, stderr := started(t, tt.env, "", tt.args...)
			require.Equal(t, tt.stderr, stderr)
			require.Equal(t, tt.code, code)
		})
	}
}

func TestHelpHasExamples(t *testing.T) {
	for _, command := range []string{"serve", "gateway", "worker", "chat", "check", "config"} {
		code, stdout, _ := started(t, nil, "", command, "--help")
		require.Zero(t, code)
		require.Contains(t, stdout, "Example")
		require.Contains(t, stdout, "troupe "+command)
	}
	for _, command := range []string{"serve", "gateway", "worker", "config"} {
		_, stdout, _ := started(t, nil, "", command, "--help")
		require.Contains(t, stdout, "--pool.max_per_ip=5", "%s takes every key", command)
	}
}

func TestConfigCommands(t *testing.T) {
	code, stdout, _ := started(t, []string{"TROUPE_POL_MAX_PER_IP=1"}, "", "config", "check", "--limits.messages.max=0")
	require.Zero(t, code)
	require.Contains(t, stdout, "warning: env TROUPE_POL_MAX_PER_IP: no such key, ignored; did you mean TROUPE_POOL_MAX_PER_IP?\n")
	require.Contains(t, stdout, "warning: limits.messages.max = 0: this limit is off\n")
	require.Contains(t, stdout, "configuration is fine (no file)\n")
	require.Contains(t, stdout, "descriptors")

	code, stdout, stderr := started(t, []string{"TROUPE_POL_MAX_PER_IP=1"}, "", "config", "check", "--log.level=x")
	require.Equal(t, 2, code)
	require.Contains(t, stdout, "TROUPE_POL_MAX_PER_IP", "a warning may explain the problem")
	require.Contains(t, stderr, "log.level")

	for _, command := range [][]string{{"config", "check"}, {"serve", "--http.listen=127.0.0.1:0"}} {
		code, stdout, stderr = started(t, nil, "", append(command, "--http.tls.cert=no.pem", "--http.tls.key=no.pem")...)
		require.Equal(t, 2, code)
		require.Empty(t, stdout)
		require.Equal(t, "troupe: http.tls: cannot read the certificate: open no.pem: no such file or directory; http.tls.cert and http.tls.key name PEM files\n", stderr)
	}

	code, stdout, _ = started(t, []string{"OPENAI_API_KEY=sk-canary"}, "", "config", "print", "--pool.max_per_ip", "5")
	require.Zero(t, code)
	require.Contains(t, stdout, "max_per_ip: 5 # flag --pool.max_per_ip\n")
	require.Contains(t, stdout, "[redacted]")
	require.NotContains(t, stdout, "sk-canary")

	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	code, stdout, _ = started(t, nil, "", "config", "docs")
	require.Zero(t, code)
	require.Equal(t, string(page), stdout)
}

func TestDescriptors(t *testing.T) {
	p := &program{}
	l, err := p.load(configFile{}, false)
	require.NoError(t, err)
	require.Equal(t, "pool.max_connections 1000 + worker.max_runs 1000 + 128 of reserve need 2128 of 2128 descriptors", descriptors(2128, l.config))
	require.Contains(t, descriptors(2127, l.config), "capped to 999;")
	require.Contains(t, descriptors(10, l.config), "capped to 2;", "a quarter where there are few")
}

func TestSignals(t *testing.T) {
	signals := make(chan os.Signal)
	exited := make(chan int, 1)
	flushed := false
	p := &program{
		signals: func(...os.Signal) (<-chan os.Signal, func()) { return signals, func() {} },
		exit:    func(code int) { exited <- code },
	}
	ctx, stop := p.untilSignal(t.Context(), zerolog.Nop(), func() { flushed = true })
	defer stop()
	require.NoError(t, ctx.Err())
	signals <- syscall.SIGTERM
	<-ctx.Done()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.Empty(t, exited, "the first signal drains")
	signals <- os.Interrupt
	require.Equal(t, 1, <-exited)
	require.True(t, flushed, "the log is out before")
}

// Whoever reads the log may have stopped: a second signal ends the program all
// the same, a moment later.
func TestSecondSignalBesideAStuckLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals, exited, stuck := make(chan os.Signal), make(chan int, 1), make(chan struct{})
		p := &program{
			signals: func(...os.Signal) (<-chan os.Signal, func()) { return signals, func() {} },
			exit:    func(code int) { exited <- code },
		}
		_, stop := p.untilSignal(t.Context(), zerolog.Nop(), func() { <-stuck })
		defer stop()
		defer close(stuck)
		signals <- os.Interrupt
		began := time.Now()
		signals <- os.Interrupt
		require.Equal(t, 1, <-exited)
		require.Equal(t, lastLines, time.Since(began))
	})
}

func TestAFlushThatPanicsIsOver(t *testing.T) {
	atMost(time.Hour, func() { panic("the log is gone") })
}
