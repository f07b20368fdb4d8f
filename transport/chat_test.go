package transport

import (
	"bufio"
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

const (
	jsonType  = "application/json"
	aProof    = "0123456789012345678901"
	chatHello = `{"content":"hello","session_id":"s1"}`
)

func (r running) chat(body string, headers ...string) reply {
	r.t.Helper()
	return r.request("POST", "/api/chat", body, append([]string{"Content-Type", jsonType}, headers...)...)
}

// stream says the frames and closes, as an actor does.
func stream(frames ...protocol.Frame) func(Socket, protocol.Request) {
	return func(s Socket, _ protocol.Request) {
		for i := range frames {
			s.Send(&frames[i])
		}
		s.Close("")
	}
}

func TestChatAsOneObject(t *testing.T) {
	gw := newScripted()
	gw.answer = stream(
		protocol.Frame{Type: protocol.TypeAccepted, Named: true, RunID: "run1"},
		protocol.Frame{Type: protocol.TypeChunk, Named: true, RunID: "run1", Seq: 1, Text: []byte("hi ")},
		protocol.Frame{Type: protocol.TypeComplete, Named: true, RunID: "run1", Seq: 2, Text: []byte(`hi \"you\"`), Finish: "stop", Provider: "echo", Model: "echo", Usage: &protocol.Usage{InputTokens: 1, OutputTokens: 2}},
	)
	s := start(t, gw)
	got := s.chat(`{"content":"hello","session_id":"s1","product_id":"11","api_keys":{"openai":"sk-x"}}`)
	require.Equal(t, 200, got.status)
	require.JSONEq(t, `{"type":"complete","run_id":"run1","seq":2,"full_response":"hi \"you\"","finish_reason":"stop",
		"provider":"echo","model":"echo","usage":{"input_tokens":1,"output_tokens":2,"estimated":false},"session_id":"s1"}`, got.body)
	require.Equal(t, "no-store", got.header.Get("Cache-Control"))
	require.Equal(t, protocol.CauseClient, gw.cause(t))

	client := gw.lastClient(t)
	require.Equal(t, protocol.Client{Connection: client.Connection, Kind: protocol.HTTP, Address: "127.0.0.1", Session: "s1", Product: "11", Customer: true, Asks: true}, client)
	question := gw.lastRequest(t).(*protocol.Chat)
	require.Equal(t, "hello", question.Content)
	require.Equal(t, "sk-x", string(question.Keys["openai"].Reveal()), "the body was wiped, the key was not")
}

func TestChatMakesUpASession(t *testing.T) {
	gw := newScripted()
	s := start(t, gw)
	got := s.chat(`{"content":"hello"}`)
	client := gw.lastClient(t)
	require.True(t, client.NewSession)
	require.True(t, protocol.ValidLabel(client.Session))
	require.Equal(t, client.Session, got.object(t)["session_id"])
	require.Equal(t, client.Session, got.header.Get(sessionHeader))
}

func TestChatRefusedBeforeAnyActor(t *testing.T) {
	gw := newScripted()
	s := start(t, gw, func(_ *HTTPConfig, w *WebSocketConfig) { w.MaxMessageBytes = 2048 })
	big := `{"content":"` + strings.Repeat("x", 3000) + `"}`
	for _, c := range []struct {
		name, path, body string
		headers          []string
		status           int
		code             string
	}{
		{"no type", "/api/chat", chatHello, []string{"Content-Type", "text/plain"}, 415, "INVALID_MESSAGE"},
		{"broken JSON", "/api/chat", `{"content":`, []string{"Content-Type", jsonType}, 400, "INVALID_MESSAGE"},
		{"no content", "/api/chat", `{}`, []string{"Content-Type", jsonType}, 400, "INVALID_MESSAGE"},
		{"too big", "/api/chat", big, []string{"Content-Type", jsonType}, 413, "MESSAGE_TOO_BIG"},
		{"event id", "/api/chat", `{"session_id":"s"}`, []string{"Content-Type", jsonType, "Last-Event-ID", "nonsense"}, 400, "INVALID_MESSAGE"},
		{"resume without session", "/api/chat", `{}`, []string{"Content-Type", jsonType, "Last-Event-ID", "run:1"}, 400, "INVALID_MESSAGE"},
		{"cancel without session", "/api/chat/run/cancel", `{}`, []string{"Content-Type", jsonType}, 400, "INVALID_MESSAGE"},
		{"cancel with a short proof", "/api/chat/run/cancel", `{"session_id":"s","client_key":"x"}`, []string{"Content-Type", jsonType}, 400, "INVALID_MESSAGE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.request("POST", c.path, c.body, c.headers...)
			require.Equal(t, c.status, got.status, got.body)
			require.Equal(t, c.code, got.object(t)["code"])
		})
	}
	chunked, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+"/api/chat", io.MultiReader(strings.NewReader(big)))
	require.NoError(t, err)
	chunked.Header.Set("Content-Type", jsonType)
	res, err := http.DefaultTransport.RoundTrip(chunked)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 413, res.StatusCode, "a body of unknown length")
	require.Empty(t, gw.clients)
}

func TestActorsErrorsBecomeStatus(t *testing.T) {
	refuse := func(f protocol.Frame, c protocol.Code) func(Socket, protocol.Client) {
		return func(s Socket, _ protocol.Client) { s.Send(&f); s.Close(c) }
	}
	for _, c := range []struct {
		name   string
		admit  func(Socket, protocol.Client)
		status int
		code   string
		retry  string
	}{
		{"limit", refuse(protocol.Frame{Type: protocol.TypeError, Code: protocol.RateLimitExceeded, Message: "wait", RetryAfter: 12}, ""), 429, "RATE_LIMIT_EXCEEDED", "12"},
		{"session", refuse(protocol.Frame{Type: protocol.TypeError, Code: protocol.InvalidSession}, protocol.InvalidSession), 400, "INVALID_SESSION", ""},
		{"only a close", func(s Socket, _ protocol.Client) { s.Close(protocol.ShuttingDown) }, 503, "SHUTTING_DOWN", ""},
		{"nothing at all", func(s Socket, _ protocol.Client) { s.Close("") }, 500, "INTERNAL", ""},
	} {
		for _, accept := range []string{"*/*", eventStream} {
			t.Run(c.name+" "+accept, func(t *testing.T) {
				gw := newScripted()
				gw.admit = c.admit
				got := start(t, gw).chat(chatHello, "Accept", accept)
				require.Equal(t, c.status, got.status, got.body)
				require.Equal(t, c.code, got.object(t)["code"])
				require.Equal(t, c.retry, got.header.Get("Retry-After"))
				require.Empty(t, gw.requests, "nothing was delivered before the first Next")
				gw.cause(t)
			})
		}
	}
}

func TestChatAsEvents(t *testing.T) {
	gw := newScripted()
	gw.answer = stream(
		protocol.Frame{Type: protocol.TypeAccepted, Named: true, ID: "1", RunID: "run1"},
		protocol.Frame{Type: protocol.TypeStatus, Named: true, ID: "1", State: protocol.StateStreaming},
		protocol.Frame{Type: protocol.TypeChunk, Named: true, ID: "1", Seq: 1, Text: []byte(`a\nb`)},
		protocol.Frame{Type: protocol.TypeError, Named: true, ID: "1", RunID: "run1", Seq: 2, Code: protocol.WorkerLost, Message: "gone", Text: []byte("a")},
	)
	s := start(t, gw)
	got := s.chat(`{"content":"x","id":"1"}`, "Accept", "application/json, text/event-stream;q=0.9")
	require.Equal(t, 200, got.status)
	require.Equal(t, eventStream, got.header.Get("Content-Type"))
	require.Equal(t, "no", got.header.Get("X-Accel-Buffering"))
	require.Equal(t, "no-store", got.header.Get("Cache-Control"))
	require.Equal(t, "event: accepted\nid: run1:0\ndata: {\"type\":\"accepted\",\"id\":\"1\",\"run_id\":\"run1\"}\n\n"+
		"event: status\ndata: {\"type\":\"status\",\"id\":\"1\",\"state\":\"streaming\"}\n\n"+
		"event: chunk\nid: run1:1\ndata: {\"type\":\"chunk\",\"id\":\"1\",\"seq\":1,\"content\":\"a\\nb\"}\n\n"+
		"event: error\nid: run1:2\ndata: {\"type\":\"error\",\"id\":\"1\",\"run_id\":\"run1\",\"code\":\"WORKER_LOST\",\"message\":\"gone\",\"retryable\":true,\"partial\":\"a\"}\n\n",
		got.body)
}

func TestResumeAndCancelOverHTTP(t *testing.T) {
	gw := newScripted()
	s := start(t, gw)
	proof := protocol.ClientKey(sha256.Sum256([]byte(aProof)))

	s.chat(`{"session_id":"s1","id":"7","client_key":"`+aProof+`"}`, "Accept", eventStream, "Last-Event-ID", "run:1:12")
	require.Equal(t, &protocol.Resume{ID: "7", RunID: "run:1", After: 12, ClientKey: proof}, gw.lastRequest(t))

	gw.answer = stream(protocol.Frame{Type: protocol.TypeCancelled, Named: true, RunID: "r1", Seq: 3, Text: []byte("so far")})
	got := s.request("POST", "/api/chat/r1/cancel", `{"session_id":"s1","client_key":"`+aProof+`"}`, "Content-Type", jsonType, "Accept", eventStream)
	require.Equal(t, &protocol.Cancel{RunID: "r1", ClientKey: proof}, gw.lastRequest(t))
	require.Equal(t, 200, got.status)
	require.JSONEq(t, `{"type":"cancelled","run_id":"r1","seq":3,"full_response":"so far","session_id":"s1"}`, got.body)

	gw.answer = stream(protocol.Frame{Type: protocol.TypeError, Named: true, Code: protocol.RunNotFound, For: protocol.ForCancel})
	require.Equal(t, 404, s.request("POST", "/api/chat/r2/cancel", `{"session_id":"s1"}`, "Content-Type", jsonType).status)
}

func TestClientThatGoesAwayIsTold(t *testing.T) {
	for _, accept := range []string{"application/json", eventStream} {
		t.Run(accept, func(t *testing.T) {
			gw := newScripted()
			asked := make(chan struct{})
			gw.answer = func(s Socket, _ protocol.Request) {
				s.Send(&protocol.Frame{Type: protocol.TypeAccepted, Named: true, RunID: "r"})
				close(asked)
			}
			s := start(t, gw)
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/api/chat", strings.NewReader(chatHello))
			require.NoError(t, err)
			req.Header.Set("Content-Type", jsonType)
			req.Header.Set("Accept", accept)
			over := make(chan struct{})
			go func() {
				defer close(over)
				if res, err := http.DefaultTransport.RoundTrip(req); err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
			}()
			<-asked
			cancel()
			<-over
			require.Equal(t, protocol.CauseGone, gw.cause(t))
		})
	}
}

// The reader stops after the first event; the actor floods.
func TestSlowEventReaderIsCutAndTold(t *testing.T) {
	gw := newScripted()
	flood := make(chan struct{})
	text := []byte(strings.Repeat("x", 64<<10))
	gw.answer = func(s Socket, _ protocol.Request) {
		go func() {
			s.Send(&protocol.Frame{Type: protocol.TypeAccepted, Named: true, RunID: "r"})
			<-flood
			for seq := range uint64(400) { // 25 MiB, more than both kernels hold
				s.Send(&protocol.Frame{Type: protocol.TypeChunk, Named: true, Seq: seq + 1, Text: text})
			}
		}()
	}
	s := start(t, gw)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.base+"/api/chat", strings.NewReader(chatHello))
	require.NoError(t, err)
	req.Header.Set("Content-Type", jsonType)
	req.Header.Set("Accept", eventStream)
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	in := bufio.NewReader(res.Body)
	_, err = in.ReadString('\n')
	require.NoError(t, err)
	close(flood)
	rest, _ := io.ReadAll(in)
	require.Contains(t, string(rest), "SLOW_CONSUMER")
	require.Equal(t, protocol.CauseSlowConsumer, gw.cause(t))
	require.Contains(t, s.request("GET", "/metrics", "").body, "troupe_slow_consumers_total 1\n")
}

func FuzzEventID(f *testing.F) {
	f.Add("run:1")
	f.Add(":1")
	f.Add("a:b:18446744073709551615")
	f.Add("run:-1")
	f.Fuzz(func(t *testing.T, s string) {
		run, _, ok := parseEventID(s)
		if ok {
			require.NotEmpty(t, run)
			require.True(t, strings.HasPrefix(s, run+":"))
		}
	})
}
