package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/config"
)

// footprint is what must be back when everybody is gone.
type footprint struct {
	goroutines, descriptors                 int
	slots, sockets, actors, followers, runs int
	vendor                                  int
	outbox                                  string
}

func (w *whole) footprint(v *providertest.Server) footprint {
	status := w.gateway.actors.Status()
	open, _ := os.ReadDir("/proc/self/fd") // empty where there is no such folder: then it is always as before
	return footprint{
		goroutines: runtime.NumGoroutine(), descriptors: len(open),
		slots: status.ConnectionPool.Active, sockets: status.WebSocketManager.ActiveConnections,
		actors: status.Actors.Connection, followers: status.Runs.Active, runs: w.worker.actors.Active(),
		vendor: v.Open(), outbox: w.metric("troupe_outbox_bytes"),
	}
}

// A thousand clients that come and go in every way leave nothing behind.
func TestNothingIsLeftBehind(t *testing.T) {
	v := providertest.New(t, slowly("some ", "text"))
	w := start(t, wide, asking(v, "sk-1"), with(func(c *config.Config) {
		c.Runs.Grace, c.Runs.Keep = 20*time.Millisecond, 20*time.Millisecond
		c.Runs.PerConnection = 4
	}))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ways := goodbyes(t, w, client)
	rounds := func(n int) {
		var all sync.WaitGroup
		next := make(chan int)
		for range 20 {
			all.Go(func() {
				for i := range next {
					ways[i%len(ways)](i)
				}
			})
		}
		for i := range n {
			next <- i
		}
		close(next)
		all.Wait()
	}
	quiet := func() footprint {
		http.DefaultClient.CloseIdleConnections()
		return w.footprint(v)
	}
	rounds(len(ways) * 4) // pools fill, lazy things start
	w.vendorIdle()
	var before footprint
	require.Eventually(t, func() bool {
		last := before
		before = quiet()
		return before == last && before.slots == 0 && before.runs == 0 && before.followers == 0 && before.vendor == 0
	}, 10*time.Second, 200*time.Millisecond)

	at := time.Now()
	rounds(1000)
	t.Log("1000 rounds took", time.Since(at))
	at = time.Now()
	w.vendorIdle()
	var after footprint
	if !eventually(10*time.Second, func() bool {
		after = quiet()
		same := after
		same.goroutines, same.descriptors = before.goroutines, before.descriptors
		return same == before && after.goroutines <= before.goroutines && after.descriptors <= before.descriptors
	}) {
		stacks := make([]byte, 1<<20)
		t.Fatalf("before %+v\nafter  %+v\n%s", before, after, stacks[:runtime.Stack(stacks, true)])
	}
	t.Log("quiet again after", time.Since(at))
	status := w.gateway.actors.Status()
	require.GreaterOrEqual(t, status.WebSocketManager.AcceptedTotal, uint64(700), "they were let in")
	require.Zero(t, status.WebSocketManager.RejectedTotal)
	require.Greater(t, len(v.Requests()), 150, "and the vendor was asked")
	require.Empty(t, w.logged("Panic caught"))
}

// vendorIdle closes connections to the vendor that wait for another question.
func (w *whole) vendorIdle() {
	for _, p := range w.vendors {
		_ = p.Close()
	}
}

func eventually(within time.Duration, ok func() bool) bool {
	late, tick := time.NewTimer(within), time.NewTicker(50*time.Millisecond)
	defer late.Stop()
	defer tick.Stop()
	for !ok() {
		select {
		case <-late.C:
			return false
		case <-tick.C:
		}
	}
	return true
}

// goodbyes are the ways in which a client can come and go.
func goodbyes(t *testing.T, w *whole, client *http.Client) []func(i int) {
	const (
		vendor = `"content":"q","provider":"openai"`
		short  = `"content":"a b c","model":"echo-0s"`
		long   = `"content":"word","model":"echo-1ms-5000w"`
	)
	dial := func(i int) *websocket.Conn {
		c, _, err := websocket.Dial(t.Context(), w.ws(fmt.Sprintf("/ws/chat/s%d", i%50)), &websocket.DialOptions{HTTPClient: client})
		if err != nil {
			t.Error(err)
			return nil
		}
		return c
	}
	// talk sends a chat and reads until a frame of this type.
	talk := func(c *websocket.Conn, chat, until string) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		if err := c.Write(ctx, websocket.MessageText, []byte(`{"type":"chat",`+chat+`}`)); err != nil {
			t.Error(err)
			return
		}
		for until != "" {
			_, data, err := c.Read(ctx)
			if err != nil {
				t.Error(until, err)
				return
			}
			if strings.HasPrefix(string(data), `{"type":"`+until+`"`) {
				return
			}
		}
	}
	socket := func(chat, until string, leave func(*websocket.Conn)) func(int) {
		return func(i int) {
			if c := dial(i); c != nil {
				if chat != "" {
					talk(c, chat, until)
				}
				leave(c)
			}
		}
	}
	gone := func(c *websocket.Conn) { c.CloseNow() }
	polite := func(c *websocket.Conn) { _ = c.Close(websocket.StatusNormalClosure, "") }
	reset := func(chat string, wait bool) func(int) {
		return func(i int) {
			nc, err := net.Dial("tcp", w.addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			c, _ := nc.(*net.TCPConn)
			defer c.Close()
			_, _ = c.Write([]byte(handshake(fmt.Sprintf("/ws/chat/s%d", i%50))))
			if chat != "" {
				_, _ = c.Write(masked(final|opText, `{"type":"chat",`+chat+`}`))
			}
			if wait {
				_, _ = io.ReadFull(c, make([]byte, 160)) // the answer to the handshake, and a bit more
			}
			_ = c.SetLinger(0) // Close says RST
		}
	}
	overHTTP := func(accept, chat string, patience time.Duration) func(int) {
		return func(int) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.http("/api/chat"), strings.NewReader(`{`+chat+`}`))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", accept)
			if resp, err := client.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}
	}
	return []func(int){
		socket("", "", gone),
		socket("", "", polite),
		socket(vendor, "", gone),
		socket(`"id":"n",`+vendor, "", gone),
		socket(`"id":"n",`+vendor, "accepted", gone),
		socket(vendor, "chunk", gone),
		socket(`"id":"n",`+vendor, "chunk", polite),
		socket(`"id":"n","api_keys":{"openai":"sk-user"},`+vendor, "", gone),
		socket(short, "complete", polite),
		socket(`"id":"n",`+short, "complete", gone),
		socket(long, "chunk", gone),
		socket(`"id":"n",`+long, "chunk", gone),
		reset("", false),
		reset(vendor, false),
		reset(long, true),
		reset(`"id":"n",`+long, true),
		overHTTP("application/json", short, 15*time.Second),
		overHTTP("application/json", vendor, 20*time.Millisecond),
		overHTTP("text/event-stream", long, 20*time.Millisecond),
		overHTTP("text/event-stream", vendor, 20*time.Millisecond),
	}
}
