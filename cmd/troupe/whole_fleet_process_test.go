package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/bus/bustest"
)

// process is the program itself, running.
type process struct {
	*exec.Cmd
	t     *testing.T
	base  string // where it answers
	over  chan struct{}
	wrote lockedBuffer
}

// compiled is the program as a file.
func compiled(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "troupe")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// launch runs a role and returns when it is ready.
func launch(t *testing.T, binary, role string, s *bustest.NATS, more ...string) *process {
	t.Helper()
	address := freeAddress(t)
	key := "--http.listen="
	if role == roleWorker {
		key = "--http.admin_listen="
	}
	args := append([]string{role, key + address, "--bus.url=" + s.URL(), "--log.format=json"}, more...)
	p := &process{Cmd: exec.Command(binary, args...), t: t, base: "http://" + address, over: make(chan struct{})}
	p.Dir, p.Stdout, p.Stderr = t.TempDir(), &p.wrote, &p.wrote // where no troupe.yaml lies
	p.Env = append(os.Environ(), "TROUPE_CONFIG=")
	require.NoError(t, p.Start())
	var ended sync.WaitGroup
	ended.Go(func() {
		defer close(p.over)
		_ = p.Wait() // ProcessState tells how it ended
	})
	t.Cleanup(func() {
		_ = p.Process.Kill()
		ended.Wait()
		if t.Failed() {
			t.Logf("%s: %s", role, &p.wrote)
		}
	})
	until(t, role+" is ready", func() bool { status, _ := p.get("/readyz"); return status == http.StatusOK })
	return p
}

// get asks the process; status 0 means that nobody answers.
func (p *process) get(path string) (status int, body string) {
	resp, err := http.Get(p.base + path)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return resp.StatusCode, string(data)
}

// workers is how many a gateway knows.
func (p *process) workers() int {
	var health struct{ Workers int }
	_, body := p.get("/api/health")
	_ = json.Unmarshal([]byte(body), &health) // not yet
	return health.Workers
}

// dial opens a chat socket.
func (p *process) dial(path string) *peer {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(p.base, "http")+path, nil)
	require.NoError(p.t, err)
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	p.t.Cleanup(func() { conn.CloseNow() })
	return &peer{Conn: conn, t: p.t}
}

// ended waits for the end and returns the exit code.
func (p *process) ended(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.over:
	case <-time.After(within):
		require.FailNow(p.t, "it goes on", "%s after %s", p.Args[1], within)
	}
	return p.ProcessState.ExitCode()
}

// Two `troupe serve` on one NATS are one fleet: either gateway finds the runs of
// either worker.
func TestTwoServesAreOneFleet(t *testing.T) {
	s, binary := bustest.Server(t), compiled(t)
	a, b := launch(t, binary, roleServe, s), launch(t, binary, roleServe, s)
	for _, p := range []*process{a, b} {
		until(t, "both workers are known", func() bool { return p.workers() == 2 })
	}
	of := map[string]bool{}
	for i := 0; len(of) < 2; i++ {
		require.Less(t, i, 100, "one worker gets all questions")
		session := fmt.Sprintf("/ws/chat/s%d", i/4)
		c := a.dial(session)
		c.send(`{"type":"chat","id":"n","content":"Hello there"}`)
		text, last := c.answer()
		require.Equal(t, "Hello there", text)
		of[workerOf(last.RunID)] = true
		back := b.dial(session)
		back.send(`{"type":"resume","run_id":"` + last.RunID + `"}`)
		require.Equal(t, []string{"snapshot", "Hello there"}, firstTwo(back.next()))
		require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
		back.CloseNow()
	}
}

// A worker's key is exchanged in its file, and a hangup makes the process use it:
// what runs goes on, no worker goes away, and the next question uses the new one.
func TestAHangupGivesAWorkerItsNewKey(t *testing.T) {
	v := providertest.NewFunc(t, func(r providertest.Request) providertest.Script {
		if r.Model == "long" {
			return providertest.Script{Deltas: []string{"on "}, Repeats: 99, Pace: 20 * time.Millisecond}
		}
		return providertest.Say("hi")
	})
	key := newKeyFile(t, "sk-one")
	file := filepath.Join(t.TempDir(), "troupe.yaml")
	require.NoError(t, os.WriteFile(file, []byte(key.names(v)), 0o600))
	s := bustest.Server(t)
	p := launch(t, compiled(t), roleWorker, s, "--config="+file)
	g := start(t, over(s, roleGateway))
	g.knows(1)
	used := func() string {
		f := g.asks(nil)
		require.Equal(t, []string{"complete", "hi"}, []string{f.Type, f.FullResponse}, f.Message)
		all := v.Requests()
		return keyOf(all[len(all)-1])
	}
	require.Equal(t, "sk-one", used())
	c := g.dial("/ws/chat/s1")
	c.send(chat(map[string]any{"id": "long", "provider": "openai", "model": "long"}))
	v.WaitOpen(t, 1, 5*time.Second)

	key.hold("sk-two")
	require.NoError(t, p.Process.Signal(syscall.SIGHUP))
	until(t, "it reloads", func() bool { return strings.Contains(p.wrote.String(), `"message":"`+reloaded+`"`) })
	require.Contains(t, p.wrote.String(), `"changed":["providers.openai.api_keys"]`)
	require.Equal(t, "sk-two", used())
	text, f := c.answer()
	require.Equal(t, []string{"complete", strings.Repeat("on ", 100)}, []string{f.Type, text}, f.Message)
	require.Len(t, v.Requests(), 3)
	require.NotContains(t, p.wrote.String(), "sk-")

	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.Zero(t, p.ended(5*time.Second))
}

// One SIGTERM lets what runs go on, within the drain time, and ends with 0; a
// second one ends at once, with 1. In every role.
func TestOneSignalDrainsTwoEnd(t *testing.T) {
	binary := compiled(t)
	for _, role := range []string{roleServe, roleGateway, roleWorker} {
		for _, twice := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, twice %t", role, twice), func(t *testing.T) {
				s := bustest.Server(t)
				fleet := map[string]*process{role: launch(t, binary, role, s, "--worker.drain_timeout=2s")}
				front := fleet[role]
				switch role {
				case roleGateway:
					fleet[roleWorker] = launch(t, binary, roleWorker, s)
				case roleWorker:
					front = launch(t, binary, roleGateway, s)
				}
				until(t, "the worker is known", func() bool { return front.workers() == 1 })
				c := front.dial("/ws/chat/s1")
				c.send(`{"type":"chat","id":"n","content":"word","model":"echo-20ms-5000w"}`)
				require.Equal(t, "accepted", c.next().Type)
				require.Equal(t, "chunk", c.next().Type)

				hit, at := fleet[role], time.Now()
				require.NoError(t, hit.Process.Signal(syscall.SIGTERM))
				until(t, "it is withdrawn", func() bool { status, _ := hit.get("/readyz"); return status == http.StatusServiceUnavailable })
				f := c.next()
				for ; f.Type == "reconnect"; f = c.next() { // from a gateway, where it can come back
				}
				require.Equal(t, "chunk", f.Type, "what runs goes on")
				if twice {
					require.NoError(t, hit.Process.Signal(syscall.SIGTERM))
					require.Equal(t, 1, hit.ended(time.Second))
					require.Less(t, time.Since(at), 2*time.Second, "before its drain time")
					return
				}
				gone := make(chan struct{})
				go func() { // reads to the end, and so answers the close
					defer close(gone)
					for err := error(nil); err == nil; {
						_, _, err = c.Read(t.Context())
					}
				}()
				require.Zero(t, hit.ended(5*time.Second))
				require.GreaterOrEqual(t, time.Since(at), 2*time.Second)
				require.Less(t, time.Since(at), 3*time.Second, "the drain time and a second")
				require.Contains(t, hit.wrote.String(), `"message":"Troupe stopped"`)
				c.CloseNow() // a client of a gateway whose worker went stays
				<-gone
			})
		}
	}
}
