package bus_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/bus"
	"github.com/troupe-chat/troupe/bus/bustest"
)

// docServer is where the page says that NATS listens.
const docServer = "127.0.0.1:4222"

// docSection is the text below a heading of level 2 of docs/bus.md.
func docSection(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "docs", "bus.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "\n## "+heading+"\n")
	require.True(t, found, "docs/bus.md has no section %s", heading)
	section, _, _ := strings.Cut(rest, "\n## ")
	return section
}

// docBlocks lists the code blocks of a kind.
func docBlocks(t *testing.T, section, kind string) (blocks []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?ms)^```"+kind+"\n(.*?)^```$").FindAllStringSubmatch(section, -1) {
		blocks = append(blocks, m[1])
	}
	require.NotEmpty(t, blocks, kind)
	return blocks
}

// goBuild compiles a package or file with this module's dependencies.
func goBuild(t *testing.T, what string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, what)
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s: %s", what, out)
	return binary
}

// docWorker runs `troupe worker` until the test ends and returns its bus.
func docWorker(t *testing.T) (s *bustest.NATS, nc *nats.Conn) {
	t.Helper()
	s = bustest.Server(t)
	nc, err := nats.Connect(s.URL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	beats, err := nc.SubscribeSync("troupe.v1.beat.worker.*")
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	worker := exec.Command(goBuild(t, "./cmd/troupe"), "worker", "--bus.url="+s.URL())
	log := &strings.Builder{}
	worker.Stderr, worker.Stdout = log, log
	worker.Env = append(os.Environ(), "TROUPE_CONFIG=")
	worker.Dir = t.TempDir() // where no troupe.yaml lies
	require.NoError(t, worker.Start())
	t.Cleanup(func() {
		_ = worker.Process.Kill()
		_ = worker.Wait() // killed
		if t.Failed() {
			t.Logf("worker: %s", log)
		}
	})
	_, err = beats.NextMsg(20 * time.Second)
	require.NoError(t, err, "the worker's first beat")
	return s, nc
}

// TestDocumentedBackend compiles the program of "A backend in Go" and lets it ask,
// stop, and meet what can go wrong.
func TestDocumentedBackend(t *testing.T) {
	source := filepath.Join(t.TempDir(), "ask.go")
	require.NoError(t, os.WriteFile(source, []byte(docBlocks(t, docSection(t, "A backend in Go"), "go")[0]), 0o600))
	s, nc := docWorker(t)
	ask := goBuild(t, source)
	acks := make(chan *nats.Msg, 1024)
	_, err := nc.ChanSubscribe("troupe.v1.worker.*.control", acks)
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// controls reads words to runs up to one of a type.
	controls := func(t *testing.T, last string) (kinds []string) {
		t.Helper()
		for {
			select {
			case m := <-acks:
				var c bus.Control
				require.NoError(t, json.Unmarshal(m.Data, &c))
				if kinds = append(kinds, c.Type); c.Type == last {
					return kinds
				}
			case <-ctx.Done():
				require.Fail(t, "no "+last, "%v", kinds)
			}
		}
	}

	t.Run("asks and acknowledges", func(t *testing.T) {
		out, err := exec.CommandContext(ctx, ask, s.URL(), "echo-1ms", "Hello \"from\"\na backend").CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, "Hello \"from\"\na backend\ncomplete", strings.TrimSpace(string(out)))
		require.Equal(t, []string{"ack"}, controls(t, "ack"))
	})
	t.Run("stops on Ctrl-C", func(t *testing.T) {
		cmd := exec.CommandContext(ctx, ask, s.URL(), "echo-20ms-100000w", "word")
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		first := make([]byte, len("word"))
		_, err = out.Read(first)
		require.NoError(t, err)
		require.Equal(t, "word", string(first))
		require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		var rest strings.Builder
		for part := make([]byte, 4096); ; {
			n, err := out.Read(part)
			rest.Write(part[:n])
			if err != nil {
				break
			}
		}
		require.NoError(t, cmd.Wait())
		require.True(t, strings.HasSuffix(strings.TrimSpace(rest.String()), "cancelled"), rest.String())
		require.Equal(t, []string{"cancel", "ack"}, controls(t, "ack"))
	})
	t.Run("says what the provider refused", func(t *testing.T) {
		out, err := exec.CommandContext(ctx, ask, s.URL(), "no-such-model", "x").CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "error UNKNOWN_MODEL")
	})
	t.Run("says that nobody listens", func(t *testing.T) {
		alone := bustest.Server(t)
		out, err := exec.CommandContext(ctx, ask, alone.URL(), "echo", "x").CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "nobody listens")
	})
	t.Run("says that a chunk was lost", func(t *testing.T) {
		liar := bustest.Server(t)
		nc, err := nats.Connect(liar.URL())
		require.NoError(t, err)
		defer nc.Close()
		_, err = nc.Subscribe("troupe.v1.chat.echo", func(m *nats.Msg) {
			var j bus.Job
			if json.Unmarshal(m.Data, &j) == nil {
				_ = nc.Publish(m.Reply, []byte(`{"type":"accepted","run":"w-1","worker":"w"}`))
				events := "{\"type\":\"chunk\",\"to\":\"1\",\"seq\":1,\"text\":\"one \"}\n{\"type\":\"chunk\",\"to\":\"1\",\"seq\":3,\"text\":\"three\"}\n"
				_ = nc.Publish("troupe.v1.gateway."+j.Gateway+".events", []byte(events)) // what is not heard fails below
			}
		})
		require.NoError(t, err)
		require.NoError(t, nc.Flush())
		out, err := exec.CommandContext(ctx, ask, liar.URL(), "echo", "x").CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "chunk 2 was lost")
		require.NotContains(t, string(out), "three")
	})
}

// TestDocumentedByHand types the lines of "By hand" into one bash and looks for the
// documented output, in its order.
func TestDocumentedByHand(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		require.Empty(t, os.Getenv("CI"), "bash is not installed")
		t.Skip("bash is not installed: the lines cannot be typed")
	}
	section := docSection(t, "By hand")
	s, _ := docWorker(t)
	address := strings.TrimPrefix(s.URL(), "nats://")
	host, port, _ := strings.Cut(address, ":")
	lines := strings.Join(docBlocks(t, section, "sh"), "")
	require.Equal(t, 1, strings.Count(lines, strings.ReplaceAll(docServer, ":", "/")))
	lines = strings.ReplaceAll(lines, strings.ReplaceAll(docServer, ":", "/"), host+"/"+port)
	out, err := exec.CommandContext(t.Context(), bash, "-euc", lines).CombinedOutput()
	require.NoError(t, err, "%s", out)
	rest := string(out)
	for want := range strings.Lines(strings.Join(docBlocks(t, section, "text"), "")) {
		want = strings.TrimSpace(want)
		like := strings.ReplaceAll(regexp.QuoteMeta(want), "…", "[^\n]*")
		at := regexp.MustCompile(`(?m)^` + like + ` ?$`).FindStringIndex(rest)
		require.NotNil(t, at, "%q does not come at its place in\n%s", want, out)
		rest = rest[at[1]:]
	}
}
