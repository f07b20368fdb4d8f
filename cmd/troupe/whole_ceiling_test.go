//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// ceiling is what the process of TestMemoryCeiling may hold of its own, and the
// limit that goes with it: 80 % of it.
const (
	ceiling  = 125 << 20
	memLimit = "100MiB"
)

// held is the memory of a process that is its own, not its program's file.
func held(t *testing.T, pid int) (bytes int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err, "the process lives")
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			require.NoError(t, err)
			return kib << 10
		}
	}
	require.Fail(t, "no RssAnon in the status of a process")
	return 0
}

// launchAlone runs a whole Troupe as a process with a memory limit.
func launchAlone(t *testing.T, more ...string) *process {
	t.Helper()
	address := freeAddress(t)
	args := append([]string{
		"serve", "--http.listen=" + address, "--log.format=json", "--log.level=warn", "--limits.connections.max=0", "--limits.messages.max=0",
		"--limits.sessions.max=0", "--pool.max_per_ip=0", "--pool.max_connections=4000",
	}, more...)
	p := &process{Cmd: exec.Command(compiled(t), args...), t: t, base: "http://" + address, over: make(chan struct{})}
	p.Dir, p.Stdout, p.Stderr = t.TempDir(), &p.wrote, &p.wrote
	p.Env = append(os.Environ(), "TROUPE_CONFIG=", "GOMEMLIMIT="+memLimit)
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
			t.Logf("%s", &p.wrote)
		}
	})
	until(t, "it is ready", func() bool { status, _ := p.get("/readyz"); return status == 200 && p.workers() == 1 })
	return p
}

// TestMemoryCeiling lets 400 clients ask for long answers that they never read,
// more than twice what the process may hold, beside 100 clients that read. The
// process stays below its ceiling, every answer that is read comes whole, and
// afterwards all is as before.
func TestMemoryCeiling(t *testing.T) {
	p := launchAlone(t, "--runs.keep_bytes=4194304", "--websocket.outbox_bytes=1048576", "--overload.lag=0s")
	const good = 100
	var whole, broken atomic.Int64
	var reading sync.WaitGroup
	for i := range good {
		c := p.dial(fmt.Sprintf("/ws/chat/good%d", i))
		c.send(`{"type":"chat","id":"1","content":"a b c d e f g h i j","model":"echo-500ms"}`) // 5 s
		reading.Go(func() {
			if c.ends() == "complete" {
				whole.Add(1)
				return
			}
			broken.Add(1)
		})
	}

	over := make(chan struct{})
	most := make(chan int, 1)
	go func() {
		high := 0
		for {
			select {
			case <-over:
				most <- high
				return
			case <-time.After(20 * time.Millisecond):
				high = max(high, held(t, p.Process.Pid))
			}
		}
	}()
	ask := `{"type":"chat","id":"1","content":"` + strings.Repeat("x", 1000) + `","model":"echo-0s-240w"}`
	var slow []*peer
	for i := range 400 {
		c := p.dial(fmt.Sprintf("/ws/chat/slow%d", i))
		slow = append(slow, c)
		_ = c.Write(t.Context(), websocket.MessageText, []byte(ask)) // it may be refused by now
	}
	reading.Wait()
	close(over)
	high := <-most
	t.Logf("%d of %d answers whole, %d broken, at most %d MiB of %d", whole.Load(), good, broken.Load(), high>>20, ceiling>>20)
	require.GreaterOrEqual(t, whole.Load(), int64(good*99/100))
	require.Less(t, high, ceiling)
	_, metrics := p.get("/metrics")
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "troupe_shed_total") {
			t.Log(strings.TrimSpace(line))
		}
	}
	require.NotContains(t, metrics, `troupe_shed_total{what="question"} 0`, "it never came under pressure: the test is blind")

	for _, c := range slow {
		c.CloseNow()
	}
	require.Eventually(t, func() bool {
		_, health := p.get("/api/health")
		return strings.Contains(health, `"status":"ok"`)
	}, 5*time.Second, 50*time.Millisecond, "normal again")
	c := p.dial("/ws/chat/afterwards")
	c.send(`{"type":"chat","id":"1","content":"hello","model":"echo-0s"}`)
	require.Equal(t, "complete", c.ends())
}

// ends reads to the end of a turn and tells how that was; a socket that ends
// before is none.
func (c *peer) ends() string {
	for {
		_, data, err := c.Read(c.t.Context())
		if err != nil {
			return err.Error()
		}
		var f said
		if err := json.Unmarshal(data, &f); err != nil || f.terminal() {
			return f.Type
		}
	}
}
