package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/bustest"
	"github.com/troupe-chat/troupe/config"
)

// nodeExample is the worker in JavaScript that docs/bus.md shows.
const nodeExample = "docs/examples/worker-node"

// nodeNeeded says why the example cannot run here. Where CI is set that is a
// failure.
func nodeNeeded(t *testing.T, why string) {
	t.Helper()
	require.Empty(t, os.Getenv("CI"), "%s: the example must be run here, .ci/install installs nodejs and npm", why)
	t.Skipf("%s: the worker in JavaScript cannot be run", why)
}

// nodeModules installs what the example's lock file names, once per lock file,
// into the user's cache. Two test processes may install at once: the rename
// decides.
func nodeModules(t *testing.T) string {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		nodeNeeded(t, "npm is not installed")
	}
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	lock := readDoc(t, nodeExample+"/package-lock.json")
	kept := filepath.Join(cache, "troupe-test", fmt.Sprintf("node-%x", sha256.Sum256([]byte(lock)))[:24])
	if _, err := os.Stat(kept); err == nil {
		return filepath.Join(kept, "node_modules")
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(kept), 0o755))
	dir, err := os.MkdirTemp(filepath.Dir(kept), "node-")
	require.NoError(t, err)
	defer func() { _ = os.RemoveAll(dir) }() // gone already where the rename won
	for _, name := range []string{"package.json", "package-lock.json"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(readDoc(t, nodeExample+"/"+name)), 0o600))
	}
	cmd := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		nodeNeeded(t, fmt.Sprintf("npm ci: %v: %s", err, out))
	}
	if err := os.Rename(dir, kept); err != nil {
		require.DirExists(t, kept, "%v", err)
	}
	return filepath.Join(kept, "node_modules")
}

// nodeProcess is the example, running.
type nodeProcess struct {
	*exec.Cmd
	t    *testing.T
	said *lockedBuffer
	over chan struct{} // closed when the process has ended
}

// startNode runs the example against a server, with its settings changed.
func startNode(t *testing.T, s *bustest.NATS, settings ...string) *nodeProcess {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		nodeNeeded(t, "node is not installed")
	}
	dir := t.TempDir()
	require.NoError(t, os.Symlink(nodeModules(t), filepath.Join(dir, "node_modules")))
	for _, name := range []string{"package.json", "worker.mjs", "text.mjs"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(readDoc(t, nodeExample+"/"+name)), 0o600))
	}
	p := &nodeProcess{Cmd: exec.Command(node, "worker.mjs"), t: t, said: &lockedBuffer{}, over: make(chan struct{})}
	p.Dir, p.Stdout, p.Stderr = dir, p.said, p.said
	p.Env = append(os.Environ(), append([]string{"NATS_URL=" + s.URL()}, settings...)...)
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
			t.Logf("node: %s", p.said)
		}
	})
	return p
}

// asks is a gateway whose clients ask node-echo where they name nobody.
func asks(t *testing.T, s *bustest.NATS) *whole {
	t.Helper()
	return start(t, over(s, roleGateway), with(func(c *config.Config) { c.DefaultProvider = "node-echo" }))
}

// hostileText holds what an escape can get wrong.
const hostileText = "  one \"two\" <three> & \\four\n\tfünf  сім 六 😀 \u2028 end "

func words(n int) string { return strings.TrimSpace(strings.Repeat("word ", n)) }

func chatFrame(t *testing.T, id, model, content string) string {
	t.Helper()
	data, err := json.Marshal(map[string]string{"type": "chat", "id": id, "model": model, "content": content})
	require.NoError(t, err)
	return string(data)
}

// TestNodeWorker drives the worker in JavaScript by clients of two gateways.
func TestNodeWorker(t *testing.T) {
	s := bustest.Server(t, bustest.MaxPayload(32<<10))
	startNode(t, s)
	g, other := asks(t, s), asks(t, s)
	g.knows(1)
	other.knows(1)
	p := tapInto(t, s.URL())
	next := 0
	session := func() string { next++; return "/ws/chat/node-" + strconv.Itoa(next) }

	t.Run("a chat streams, byte for byte", func(t *testing.T) {
		c := g.dial(session())
		c.send(chatFrame(t, "a", "node-echo-1ms", hostileText))
		text, last := c.answer()
		require.Equal(t, []string{hostileText, "complete", "stop", "node-echo", "node-echo-1ms"},
			[]string{text, last.Type, last.FinishReason, last.Provider, last.Model}, last.Message)
		require.Greater(t, last.Seq, uint64(5), "word by word")
		require.NotNil(t, last.Usage)
		c.send(`{"type":"chat","content":"without a name"}`)
		text, _ = c.answer()
		require.Equal(t, "without a name", text)
	})

	t.Run("its end is acknowledged and said no more", func(t *testing.T) {
		c := g.dial(session())
		c.send(chatFrame(t, "a", "node-echo-0ms", "short"))
		_, last := c.answer()
		require.Eventually(t, func() bool {
			for _, m := range p.heard(`\.control$`) {
				if strings.Contains(string(m.Data), last.RunID) && strings.Contains(string(m.Data), `"ack"`) {
					return true
				}
			}
			return false
		}, 2*time.Second, 5*time.Millisecond)
	})

	t.Run("a cancel is acknowledged and ends the chunks", func(t *testing.T) {
		c := g.dial(session())
		c.send(chatFrame(t, "a", "node-echo-5ms", words(2000)))
		c.next()
		for range 3 {
			require.Equal(t, "word ", c.next().Content)
		}
		c.send(`{"type":"cancel","id":"a"}`)
		text, last := "word word word ", said{}
		for last = c.next(); last.Type == "chunk"; last = c.next() {
			text += last.Content
		}
		require.Equal(t, []string{"cancelled", text}, []string{last.Type, last.FullResponse})
		c.send(chatFrame(t, "b", "node-echo-20ms", "and nothing of the old one"))
		next, _ := c.answer()
		require.Equal(t, "and nothing of the old one", next)
		require.Eventually(t, func() bool { // the bus says the same, in its order
			stopped, done := "", false
			for _, e := range eventsOf(p) {
				require.False(t, stopped != "" && e.Type == "chunk" && e.To == stopped, "a chunk after its cancelled")
				if e.Type == "cancelled" {
					stopped = e.To
				}
				done = stopped != "" && e.Type == "complete"
			}
			return done
		}, 5*time.Second, 10*time.Millisecond)
	})

	t.Run("a lost socket's run is resumed on another gateway", func(t *testing.T) {
		path, want := session(), hostileText+words(200)
		c := g.dial(path)
		c.send(chatFrame(t, "a", "node-echo-5ms", want))
		run, seen := c.next().RunID, ""
		for range 7 {
			seen += c.next().Content
		}
		c.CloseNow()
		again := other.dial(path)
		again.send(`{"type":"resume","run_id":"` + run + `","after":7}`)
		rest, last := readOn(again)
		require.Equal(t, []string{"complete", want}, []string{last.Type, last.FullResponse}, last.Message)
		require.Equal(t, want, seen+rest)

		t.Run("and after its end", func(t *testing.T) {
			c := other.dial(path)
			c.send(`{"type":"resume","run_id":"` + run + `"}`)
			first, last := c.next(), c.next()
			require.Equal(t, []string{"snapshot", want}, []string{first.Type, first.Content})
			require.Equal(t, []string{"complete", want, run}, []string{last.Type, last.FullResponse, last.RunID})
			require.Equal(t, "INVALID_MESSAGE", lastCode(c, `{"type":"resume","run_id":"`+run+`","after":100000}`))
		})
		t.Run("a foreign session is told that there is none", func(t *testing.T) {
			for _, ask := range []string{"resume", "cancel"} {
				require.Equal(t, "RUN_NOT_FOUND", lastCode(other.dial(session()), `{"type":"`+ask+`","run_id":"`+run+`"}`), ask)
			}
		})
	})

	t.Run("a snapshot larger than a message travels in parts", func(t *testing.T) {
		path, want := session(), strings.Repeat("<"+strings.Repeat("word", 12)+"é> ", 400) // 21 KB, of which a part holds 16
		c := g.dial(path)
		c.send(chatFrame(t, "a", "node-echo-0ms", want))
		_, last := c.answer()
		require.Equal(t, "complete", last.Type, last.Message)
		before, _ := chunksOf(p, "snapshot")
		again := other.dial(path)
		again.send(`{"type":"resume","run_id":"` + last.RunID + `","after":20}`)
		first, last := again.next(), again.next()
		require.Equal(t, []string{"snapshot", "complete", want}, []string{first.Type, last.Type, last.FullResponse})
		require.Equal(t, want[len(want)-len(first.Content):], first.Content)
		require.Eventually(t, func() bool {
			parts, _ := chunksOf(p, "snapshot")
			return len(parts)-len(before) > 2
		}, 5*time.Second, 10*time.Millisecond, "one part ends at the cut, and the rest does not fit one")
	})
}

// eventsOf lists what runs said, in the order of the bus.
func eventsOf(p *tap) (out []spoken) {
	for _, m := range p.heard(`\.events$`) {
		for line := range strings.Lines(string(m.Data)) {
			var e spoken
			if json.Unmarshal([]byte(line), &e) == nil {
				out = append(out, e)
			}
		}
	}
	return out
}

// lastCode asks and returns the code of the error that comes back.
func lastCode(c *peer, ask string) string {
	c.t.Helper()
	c.send(ask)
	f := c.next()
	require.Equal(c.t, "error", f.Type)
	return f.Code
}

// TestNodeExampleLock: whoever installs the example gets what was tested, from the
// public registry.
func TestNodeExampleLock(t *testing.T) {
	var lock struct {
		Packages map[string]struct{ Version, Resolved, Integrity string }
	}
	require.NoError(t, json.Unmarshal([]byte(readDoc(t, nodeExample+"/package-lock.json")), &lock))
	require.Greater(t, len(lock.Packages), 3)
	for name, p := range lock.Packages {
		if name != "" { // the example itself
			require.NotEmpty(t, p.Integrity, name)
		}
		require.True(t, p.Resolved == "" || strings.HasPrefix(p.Resolved, "https://registry.npmjs.org/"), "%s from %s", name, p.Resolved)
	}
}

// TestNodeWorkerKilled: the client of a process that was killed is told.
func TestNodeWorkerKilled(t *testing.T) {
	s := bustest.Server(t)
	p := startNode(t, s)
	g := asks(t, s)
	g.knows(1)
	c := g.dial("/ws/chat/s1")
	c.send(chatFrame(t, "a", "node-echo-20ms", words(1000)))
	c.next()
	require.Equal(t, "word ", c.next().Content)
	at := time.Now()
	require.NoError(t, p.Process.Kill())
	text, last := readOn(c)
	require.Equal(t, []string{"error", "WORKER_LOST", "word " + text}, []string{last.Type, last.Code, last.Partial})
	require.Less(t, time.Since(at), 3*time.Second)
}

// TestNodeWorkerDrains: SIGTERM lets a run end, ends the one that is too long, and
// says goodbye.
func TestNodeWorkerDrains(t *testing.T) {
	s := bustest.Server(t)
	p := startNode(t, s, "DRAIN_MS=1500")
	g := asks(t, s)
	g.knows(1)
	short, long := g.dial("/ws/chat/s1"), g.dial("/ws/chat/s2")
	short.send(chatFrame(t, "a", "node-echo-10ms", words(50)))
	long.send(chatFrame(t, "b", "node-echo-10ms", words(5000)))
	for _, c := range []*peer{short, long} {
		require.Equal(t, "accepted", c.next().Type)
		require.Equal(t, "word ", c.next().Content)
	}
	at := time.Now()
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	_, last := readOn(short)
	require.Equal(t, []string{"complete", words(50)}, []string{last.Type, last.FullResponse}, last.Code)
	short.send(chatFrame(t, "c", "", "nobody takes this"))
	require.NotEqual(t, "accepted", short.next().Type)
	text, last := readOn(long)
	require.Equal(t, []string{"error", "SHUTTING_DOWN", "word " + text}, []string{last.Type, last.Code, last.Partial})
	<-p.over
	require.Zero(t, p.ProcessState.ExitCode(), "%s", p.said)
	require.Less(t, time.Since(at), 5*time.Second)
	until(t, "its last beat says that it leaves", func() bool { return len(g.logged("Worker left")) == 1 })
	require.Empty(t, g.logged("Worker lost"))
}
