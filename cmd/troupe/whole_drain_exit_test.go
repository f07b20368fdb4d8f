package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider/providertest"
	"github.com/troupe-chat/troupe/bus/bustest"
)

// rudely opens a TCP connection to an HTTP address, says these bytes, and nothing
// more: no close frame is ever answered. A deaf one does not even read.
func rudely(t *testing.T, base string, deaf bool, said ...[]byte) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	require.NoError(t, err)
	over := make(chan struct{})
	t.Cleanup(func() {
		_ = conn.Close()
		<-over
	})
	_, err = conn.Write(bytes.Join(said, nil))
	require.NoError(t, err)
	if deaf {
		close(over)
		return conn
	}
	go func() {
		defer close(over)
		_, _ = io.Copy(io.Discard, conn)
	}()
	return conn
}

// upgrade asks for a WebSocket.
func upgrade(path string) []byte {
	return []byte("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
}

// text is a client's text frame, under a mask that changes nothing.
func text(payload string) []byte {
	return append([]byte{0x81, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...) // below 126 bytes
}

// leaving lists the roles that said goodbye.
func (p *tap) leaving(t *testing.T) (roles []string) {
	t.Helper()
	for _, m := range p.heard(`\.beat\.`) {
		var b struct {
			Role    string
			Leaving bool
		}
		require.NoError(t, json.Unmarshal(m.Data, &b))
		if b.Leaving {
			roles = append(roles, b.Role)
		}
	}
	return roles
}

// A process is gone a second after its drain time, whatever its clients do and do
// not do, and has said goodbye to the bus; also where the bus does not answer.
func TestExitWhateverClientsDo(t *testing.T) {
	const drain = time.Second
	binary := compiled(t)
	for _, role := range []string{roleServe, roleGateway, roleWorker} {
		for _, frozen := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, bus frozen %t", role, frozen), func(t *testing.T) {
				s := bustest.Server(t)
				hit := launch(t, binary, role, s, "--worker.drain_timeout="+drain.String())
				front := hit
				switch role {
				case roleGateway:
					launch(t, binary, roleWorker, s)
				case roleWorker:
					front = launch(t, binary, roleGateway, s)
				}
				until(t, "the worker is known", func() bool { return front.workers() == 1 })
				p := tapInto(t, s.URL())
				ask := `{"type":"chat","id":"n","content":"word","model":"echo-20ms-5000w"}`
				rudely(t, front.base, false, upgrade("/ws/chat/idle"))
				rudely(t, front.base, false, upgrade("/ws/chat/reads"), text(ask))
				rudely(t, front.base, true, upgrade("/ws/chat/deaf"), text(ask))
				rudely(t, hit.base, false, []byte("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"))
				rudely(t, hit.base, false)
				until(t, "both stream", func() bool { return len(p.heard(`\.r\.\d+$`)) == 2 })

				at := time.Now()
				if frozen {
					s.Freeze()
				}
				require.NoError(t, hit.Process.Signal(syscall.SIGTERM))
				require.Zero(t, hit.ended(drain+5*time.Second))
				took := time.Since(at)
				require.Less(t, took, drain+time.Second)
				require.GreaterOrEqual(t, took, drain)
				if frozen {
					s.Thaw()
					return
				}
				require.NoError(t, p.Flush())
				want := map[string][]string{roleServe: {roleWorker, roleGateway}, roleGateway: {roleGateway}, roleWorker: {roleWorker}}
				require.Equal(t, want[role], p.leaving(t))
				if role != roleGateway {
					require.Len(t, endsBefore(t, p.heard(`.`), roleWorker), 2, "each run told its end")
				}
			})
		}
	}
}

// endsBefore lists the followers that were told an end before the goodbye of a
// role, which has to be there.
func endsBefore(t *testing.T, all []*nats.Msg, role string) map[string]string {
	t.Helper()
	ends := map[string]string{}
	goodbye := regexp.MustCompile(`"leaving":true`)
	for _, m := range all {
		if strings.Contains(m.Subject, ".beat."+role+".") && goodbye.Match(m.Data) {
			return ends
		}
		if !strings.HasSuffix(m.Subject, ".events") {
			continue
		}
		for line := range strings.Lines(string(m.Data)) {
			var e struct{ Type, To, Code string }
			require.NoError(t, json.Unmarshal([]byte(line), &e))
			if (said{Type: e.Type}).terminal() {
				ends[m.Subject+" "+e.To] = strings.TrimSpace(e.Type + " " + e.Code)
			}
		}
	}
	require.Fail(t, "no goodbye of the "+role)
	return nil
}

// A worker says goodbye when all its runs have told their ends, however it goes:
// whoever heard it before would take them for lost.
func TestAWorkersGoodbyeComesLast(t *testing.T) {
	const runs = 60
	for name, end := range map[string]func(*whole){
		"stopped": func(w *whole) { w.stop(context.Background()) },
		"drained": func(w *whole) { w.retire(50 * time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			v := providertest.New(t, slowly("some"))
			s := bustest.Server(t)
			g, worker := start(t, over(s, roleGateway)), start(t, over(s, roleWorker), asking(v, "sk-1"))
			g.knows(1)
			p := tapInto(t, s.URL())
			for i := range runs {
				c := g.dial(fmt.Sprintf("/ws/chat/s%d", i))
				c.send(`{"type":"chat","id":"n","content":"x","provider":"openai"}`)
				require.Equal(t, "accepted", c.next().Type)
				require.Equal(t, "some", c.next().Content)
			}
			end(worker)
			require.NoError(t, p.Flush())
			ends := endsBefore(t, p.heard(`.`), roleWorker)
			require.Len(t, ends, runs)
			for follower, e := range ends {
				require.Equal(t, "error SHUTTING_DOWN", e, follower)
			}
			require.Equal(t, []string{roleWorker}, p.leaving(t))
			status, _, _ := g.get("/livez")
			require.Equal(t, http.StatusOK, status)
		})
	}
}
