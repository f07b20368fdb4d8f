package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	stdlog "log"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus/bustest"
)

// printOf is the one-way name of a deployment's key that workers tell each
// other. Of a user's key nobody makes one.
func printOf(key string) string {
	sum := sha256.Sum256([]byte("troupe deployment key 1\x00" + key))
	return hex.EncodeToString(sum[:8])
}

// guardedBus is an external server with a user for Troupe and one who may hear
// everything. What crosses it on the subjects that nobody probes is stored in a
// file, as an operator would store bills.
type guardedBus struct {
	*bustest.NATS
	t     *testing.T
	store string
}

func newGuardedBus(t *testing.T) *guardedBus {
	t.Helper()
	b := &guardedBus{t: t, store: t.TempDir()}
	b.NATS = bustest.Server(t, bustest.Config(fmt.Sprintf(`
jetstream { store_dir: %q }
authorization { users: [
  { user: troupe, password: "p" }
  { user: spy, password: "p" }
] }`, b.store)))
	return b
}

func (b *guardedBus) as(user string) string {
	u, err := url.Parse(b.URL())
	require.NoError(b.t, err)
	u.User = url.UserPassword(user, "p")
	return u.String()
}

// spied opens a tap of its own on everything, and stores what may be stored.
func (b *guardedBus) spied(subjects ...string) *tap {
	b.t.Helper()
	p := tapInto(b.t, b.as("spy"))
	stream, err := json.Marshal(map[string]any{"name": "canary", "subjects": subjects, "no_ack": true, "storage": "file"})
	require.NoError(b.t, err)
	answer, err := p.Request("$JS.API.STREAM.CREATE.canary", stream, 5*time.Second)
	require.NoError(b.t, err)
	require.NotContains(b.t, string(answer.Data), `"error"`)
	return p
}

// role puts a role on the bus.
func (b *guardedBus) role(role string) func(*appOptions) {
	return func(o *appOptions) {
		o.Role, o.Config.Bus.URL = role, b.as("troupe")
		wide(o)
	}
}

// sinks are all places where a key could come to light.
type sinks struct {
	t      *testing.T
	front  *whole
	all    []*whole
	p      *tap
	dirs   []string // whose files are read
	others []*peer  // clients that ask nothing

	mu     sync.Mutex
	frames strings.Builder // what clients that asked received
	errors strings.Builder // the error frames of it
	heard  strings.Builder // what other clients received
	stdout strings.Builder // of commands
	stderr strings.Builder

	library lockedBuffer // what packages write to the process's own log
}

func newSinks(front *whole, p *tap, dirs []string, more ...*whole) *sinks {
	s := &sinks{t: front.t, front: front, all: append(more, front), p: p, dirs: dirs}
	stdlog.SetOutput(&s.library)
	s.t.Cleanup(func() { stdlog.SetOutput(os.Stderr) })
	for _, path := range []string{"/ws/chat/s1", "/ws/chat/customer/11/s1", "/ws/chat/elsewhere"} {
		s.others = append(s.others, front.dial(path))
	}
	s.says("/ws/chat/s1", `{"type":"nothing that anybody knows"}`) // so that each sink holds something
	require.Zero(s.t, s.commands(nil, "config", "print"))
	require.Equal(s.t, 2, s.commands(nil, "serve", "--pool.max_per_ip=x"))
	return s
}

// received notes what a client that asked got.
func (s *sinks) received(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames.WriteString(text + "\n")
	if strings.Contains(text, `"type":"error"`) {
		s.errors.WriteString(text + "\n")
	}
}

// says sends frames over a fresh socket and notes what comes back, up to one
// end for each.
func (s *sinks) says(path string, frames ...string) {
	s.t.Helper()
	c := s.front.dial(path)
	defer c.CloseNow()
	for _, f := range frames {
		c.send(f)
		s.ends(c)
	}
}

// ends notes what comes up to an end.
func (s *sinks) ends(c *peer) (last said) {
	s.t.Helper()
	for !last.terminal() {
		raw := c.raw()
		s.received(raw)
		last = parse(s.t, raw)
	}
	return last
}

func (s *sinks) posts(body string, header ...string) {
	s.t.Helper()
	status, answer, h := s.front.post("/api/chat", body, header...)
	s.received(fmt.Sprint(status, answer, h))
}

// commands runs the program with these arguments and notes what it prints.
func (s *sinks) commands(env []string, args ...string) (code int) {
	s.t.Helper()
	code, stdout, stderr := started(s.t, env, "", args...)
	s.stdout.WriteString(stdout)
	s.stderr.WriteString(stderr)
	return code
}

// overhear reads what the other clients have got by now.
func (s *sinks) overhear() string {
	s.t.Helper()
	for _, c := range s.others {
		c.send(`{"type":"ping"}`)
		for raw := ""; !strings.HasPrefix(raw, `{"type":"pong"`); {
			raw = c.raw()
			s.heard.WriteString(raw + "\n")
		}
	}
	return s.heard.String()
}

// texts reads every sink now.
func (s *sinks) texts() map[string]string {
	s.t.Helper()
	var log strings.Builder
	for _, w := range s.all {
		log.WriteString(w.log.String())
	}
	s.mu.Lock()
	out := map[string]string{
		"log": log.String(), "frames": s.frames.String(), "error frames": s.errors.String(), "other clients": s.overhear(),
		"stdout": s.stdout.String(), "stderr": s.stderr.String() + s.library.String(), "files": files(s.t, s.dirs), "goroutines": stacks(s.t), "bus": s.onTheBus(),
	}
	s.mu.Unlock()
	for _, path := range []string{statusPath, "/api/providers", "/api/health", "/readyz"} {
		_, body, header := s.front.get(path)
		out["status"] += fmt.Sprint(body, header)
	}
	_, body, header := s.front.get("/metrics")
	out["metrics"] = fmt.Sprint(body, header)
	return out
}

func (s *sinks) onTheBus() string {
	s.t.Helper()
	require.NoError(s.t, s.p.Flush())
	var b strings.Builder
	for _, m := range s.p.heard("") {
		fmt.Fprintln(&b, m.Subject, m.Reply, m.Header, string(m.Data))
	}
	return b.String()
}

// stacks are all goroutines with their arguments, and their labels.
func stacks(t *testing.T) string {
	t.Helper()
	dump := make([]byte, 16<<20)
	dump = dump[:runtime.Stack(dump, true)]
	var labels bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&labels, 1))
	return string(dump) + labels.String()
}

// files are all files below some folders, names too. One that goes meanwhile is
// none.
func files(t *testing.T, dirs []string) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range dirs {
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if os.IsNotExist(err) {
				return nil
			}
			fmt.Fprintf(&b, "%s: %s\n", path, data)
			return err
		}))
	}
	return b.String()
}

// clean requires that no sink holds a key, and that each holds something.
func (s *sinks) clean(where string) {
	s.t.Helper()
	for name, text := range s.texts() {
		require.NotEmpty(s.t, text, name)
		if found := leaks(text); len(found) > 0 {
			s.t.Errorf("%s: %s holds a key (%s): …%s…", where, name, found[0].how, found[0].around)
		}
	}
}

// ways asks one question in every way that there is: named and not, over a
// socket, as JSON and as a stream.
func (s *sinks) ways(fields map[string]any) {
	s.t.Helper()
	unnamed, body := chat(fields), chat(fields)
	fields["id"] = "n"
	s.says("/ws/chat/s1", unnamed)
	s.says("/ws/chat/s1", chat(fields))
	s.posts(body)
	s.posts(body, "Accept", "text/event-stream")
}

// until waits for a message on the bus.
func (p *tap) until(t *testing.T, what string, is func(*nats.Msg) bool) {
	t.Helper()
	until(t, what, func() bool {
		for _, m := range p.heard("") {
			if is(m) {
				return true
			}
		}
		return false
	})
}

// elsewhere is a server where nothing may ever arrive.
type elsewhere struct {
	mu   sync.Mutex
	came []string
}

// ServeHTTP implements http.Handler.
func (e *elsewhere) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.came = append(e.came, fmt.Sprint(r.Method, " ", r.URL, " ", r.Header))
	w.WriteHeader(http.StatusNoContent)
}

func (e *elsewhere) visits() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.came
}
