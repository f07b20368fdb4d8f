package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// script is what a server does with one socket.
type script func(ctx context.Context, t *testing.T, c *websocket.Conn)

// serverWith answers one chat address with the script.
func serverWith(t *testing.T, path string, s script) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		s(r.Context(), t, c)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// say writes frames, next reads one.
func say(ctx context.Context, c *websocket.Conn, frames ...string) {
	for _, f := range frames {
		if c.Write(ctx, websocket.MessageText, []byte(f)) != nil {
			return
		}
	}
}

func next(ctx context.Context, c *websocket.Conn) map[string]any {
	_, data, err := c.Read(ctx)
	if err != nil {
		return nil
	}
	var m map[string]any
	if json.Unmarshal(data, &m) != nil {
		return nil
	}
	return m
}

func TestChatStreams(t *testing.T) {
	asked := make(chan map[string]any, 1)
	server := serverWith(t, "/ws/chat/cli", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
		asked <- next(ctx, c)
		say(ctx, c,
			`{"type":"accepted","id":"1","run_id":"r"}`,
			`{"type":"status","id":"1","state":"streaming"}`,
			`{"type":"chunk","id":"1","seq":1,"content":"Hel"}`,
			`{"type":"chunk","id":"1","seq":2,"content":"lo"}`,
			`{"type":"complete","id":"1","run_id":"r","seq":3,"full_response":"Hello!"}`)
		_, _, _ = c.Read(ctx)
	})
	env := []string{"OPENAI_API_KEY=sk-canary"}
	code, stdout, stderr := started(t, env, "", "chat", "--url", server.URL, "--provider=openai", "--model=m", "--system=be short", "hi", "there")
	require.Zero(t, code)
	require.Equal(t, "Hello!\n", stdout, "a complete may hold more than the chunks did")
	require.Empty(t, stderr)
	require.Equal(t, map[string]any{
		"type": "chat", "id": "1", "content": "hi there", "provider": "openai", "model": "m", "system": "be short", "on_disconnect": "cancel",
	}, <-asked, "no key is sent that nobody asked to send")

	code, stdout, _ = started(t, env, "from a pipe\n", "chat", "--url", strings.Replace(server.URL, "http", "ws", 1), "--provider=openai", "--key-from-env=OPENAI_API_KEY")
	require.Zero(t, code)
	require.Equal(t, "Hello!\n", stdout)
	m := <-asked
	require.Equal(t, "from a pipe", m["content"])
	require.Equal(t, map[string]any{"openai": "sk-canary"}, m["api_keys"])
}

func TestChatSaysGoodbye(t *testing.T) {
	ended := make(chan websocket.StatusCode, 1)
	server := serverWith(t, "/ws/chat/cli", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
		next(ctx, c)
		say(ctx, c, `{"type":"complete","id":"1","full_response":"x"}`)
		_, _, err := c.Read(ctx)
		ended <- websocket.CloseStatus(err)
	})
	code, _, _ := started(t, nil, "", "chat", "--url", server.URL, "hi")
	require.Zero(t, code)
	require.Equal(t, websocket.StatusNormalClosure, <-ended)
}

func TestChatByTheCustomerAddress(t *testing.T) {
	server := serverWith(t, "/base/ws/chat/customer/11/s1", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
		next(ctx, c)
		say(ctx, c, `{"type":"chunk","id":"1","content":"ok\n"}`, `{"type":"complete","id":"1","full_response":"ok\n"}`)
		_, _, _ = c.Read(ctx)
	})
	code, stdout, stderr := started(t, nil, "", "chat", "--url", server.URL+"/base/", "--product=11", "--session=s1", "hi")
	require.Equal(t, "", stderr)
	require.Zero(t, code)
	require.Equal(t, "ok\n", stdout, "a line that ends needs no second end")
}

func TestChatErrors(t *testing.T) {
	tests := []struct {
		name   string
		script script
		stdout string
		stderr string
	}{
		{"of the turn", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
			next(ctx, c)
			say(ctx, c, `{"type":"chunk","id":"1","content":"par"}`, `{"type":"error","id":"1","code":"PROVIDER_RATE_LIMITED","message":"openai is\nbusy","retry_after":12,"partial":"par"}`)
			_, _, _ = c.Read(ctx)
		}, "par\n", "troupe: PROVIDER_RATE_LIMITED: openai is busy\n        try again in 12 s\n        Wait retry_after seconds, use another key or another provider.\n"},
		{"of the connection", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
			say(ctx, c, `{"type":"error","code":"CONNECTION_RATE_EXCEEDED","message":"Connection rate exceeded","retry_after":3}`)
			_ = c.Close(websocket.StatusPolicyViolation, "")
		}, "", "troupe: CONNECTION_RATE_EXCEEDED: Connection rate exceeded\n        try again in 3 s\n        Wait retry_after seconds before you connect again, and back off with jitter when reconnecting.\n"},
		{"of an unknown code", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
			next(ctx, c)
			say(ctx, c, `{"type":"error","id":"1","code":"NEW_CODE","message":"what"}`)
			_, _, _ = c.Read(ctx)
		}, "", "troupe: NEW_CODE: what\n"},
		{"drain", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
			next(ctx, c)
			_ = c.Close(websocket.StatusGoingAway, "")
		}, "", "troupe: the server is going away\n        connect again: another one answers, or this one after its restart\n"},
		{"a slow reader", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
			next(ctx, c)
			_ = c.Close(websocket.StatusTryAgainLater, "")
		}, "", "troupe: SLOW_CONSUMER: this client read too slowly\n        Read faster, reconnect, and resume with run_id and the last seq you have.\n"},
		{"lost", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
			next(ctx, c)
		}, "", "troupe: the connection was lost\n        check that the server still runs, then ask again\n"},
		{"not a frame", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
			next(ctx, c)
			say(ctx, c, `hello`)
			_, _, _ = c.Read(ctx)
		}, "", "troupe: the server sent something that is not a frame of Troupe\n        check the address\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := serverWith(t, "/ws/chat/cli", tt.script)
			code, stdout, stderr := started(t, nil, "", "chat", "--url", server.URL, "hi")
			require.Equal(t, tt.stderr, stderr)
			require.Equal(t, tt.stdout, stdout)
			require.Equal(t, 1, code)
		})
	}
}

// chatWith runs chat with signals from a channel.
func chatWith(t *testing.T, signals chan os.Signal, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs lockedBuffer
	p := &program{
		stdin: strings.NewReader(""), stdout: &out, stderr: &errs,
		signals: func(...os.Signal) (<-chan os.Signal, func()) { return signals, func() {} },
		exit:    func(int) {},
	}
	code = p.run(t.Context(), append([]string{"chat"}, args...))
	return code, out.String(), errs.String()
}

func TestInterruptCancelsTheTurn(t *testing.T) {
	signals := make(chan os.Signal)
	server := serverWith(t, "/ws/chat/cli", func(ctx context.Context, t *testing.T, c *websocket.Conn) {
		next(ctx, c)
		say(ctx, c, `{"type":"chunk","id":"1","content":"a"}`)
		signals <- os.Interrupt
		assert.Equal(t, map[string]any{"type": "cancel", "id": "1"}, next(ctx, c))
		say(ctx, c, `{"type":"error","for":"cancel","code":"NO_ACTIVE_RUN","message":"x"}`,
			`{"type":"cancelled","id":"1","full_response":"ab"}`)
		_, _, _ = c.Read(ctx)
	})
	code, stdout, stderr := chatWith(t, signals, "--url", server.URL, "hi")
	require.Equal(t, 1, code, "half an answer is not success")
	require.Equal(t, "ab\n", stdout)
	require.Equal(t, "troupe: the answer was cancelled\n", stderr)
}

func TestSecondInterruptQuits(t *testing.T) {
	for _, second := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		signals := make(chan os.Signal)
		server := serverWith(t, "/ws/chat/cli", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
			next(ctx, c)
			signals <- os.Interrupt
			next(ctx, c)
			signals <- second // and never a cancelled
			_, _, _ = c.Read(ctx)
		})
		code, _, stderr := chatWith(t, signals, "--url", server.URL, "hi")
		require.Equal(t, 1, code)
		require.Equal(t, "troupe: interrupted\n", stderr)
	}
}

// TestInterruptAtTheEndOfAnAnswer: a stop that came too late is answered at the
// prompt, where nothing is the matter; a stop there ends the conversation.
func TestInterruptAtTheEndOfAnAnswer(t *testing.T) {
	signals := make(chan os.Signal)
	server := serverWith(t, "/ws/chat/cli", func(ctx context.Context, t *testing.T, c *websocket.Conn) {
		for _, id := range []string{"1", "2"} {
			assert.Equal(t, id, next(ctx, c)["id"])
			say(ctx, c, `{"type":"chunk","id":"`+id+`","content":"a"}`, `{"type":"complete","id":"`+id+`","full_response":"a"}`,
				`{"type":"error","for":"cancel","code":"NO_ACTIVE_RUN","message":"x"}`)
		}
		_, _, _ = c.Read(ctx)
	})
	base, err := parseTarget(server.URL)
	require.NoError(t, err)
	c, err := dial(t.Context(), chatAddress(base, "cli", ""), nil)
	require.NoError(t, err)
	defer c.close()
	stdin, typed, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = typed.Close() }()
	var out, errs lockedBuffer
	v := &conversation{client: c, frames: c.frames(t.Context(), &errs), interrupts: signals, out: &out, errs: &errs}
	_, err = typed.WriteString("one\ntwo\n")
	require.NoError(t, err)
	go func() {
		for errs.String() != "> > > " {
			time.Sleep(time.Millisecond)
		}
		signals <- os.Interrupt
	}()
	require.NoError(t, v.converse(t.Context(), stdin))
	require.Equal(t, "a\na\n", out.String())
	require.Equal(t, "> > > \n", errs.String())
}

// Before there is anything to stop a signal ends the program as it ends any.
func TestNoSignalIsTakenBeforeThereIsAConnection(t *testing.T) {
	taken := false
	p := &program{
		stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard,
		signals: func(...os.Signal) (<-chan os.Signal, func()) { taken = true; return nil, func() {} },
		exit:    func(int) {},
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	require.Equal(t, 1, p.run(t.Context(), []string{"chat", "--url", server.URL, "hi"}))
	require.False(t, taken)
}

func TestConversationOnOneSocket(t *testing.T) {
	server := serverWith(t, "/ws/chat/cli", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
		for m := next(ctx, c); m != nil; m = next(ctx, c) {
			id := m["id"].(string)
			if m["content"] == "bad\n" {
				say(ctx, c, `{"type":"error","id":"`+id+`","code":"UNKNOWN_MODEL","message":"no"}`)
				continue
			}
			say(ctx, c, `{"type":"chunk","id":"`+id+`","content":"`+id+`\u001b[31m"}`, `{"type":"complete","id":"`+id+`","full_response":"`+id+`\u001b[31m"}`)
		}
	})
	base, err := parseTarget(server.URL)
	require.NoError(t, err)
	c, err := dial(t.Context(), chatAddress(base, "cli", ""), nil)
	require.NoError(t, err)
	defer c.close()
	var out, errs lockedBuffer
	v := &conversation{client: c, frames: c.frames(t.Context(), &errs), out: &out, errs: &errs, terminal: true}
	require.NoError(t, v.converse(t.Context(), strings.NewReader("one\n\nbad\nthree")))
	require.Equal(t, "1[31m\n3[31m\n", out.String(), "a model cannot drive the terminal")
	require.Equal(t, "> > > UNKNOWN_MODEL: no\n  Ask for a model that GET /api/providers lists, or add it to the provider's models.\n> > \n", errs.String())
}

// What is no part of the answer goes to standard error.
func TestReasoningAndPlaceAreNoAnswer(t *testing.T) {
	server := serverWith(t, "/ws/chat/cli", func(ctx context.Context, t *testing.T, c *websocket.Conn) {
		_, ask, err := c.Read(ctx)
		require.NoError(t, err)
		require.JSONEq(t, `{"type":"chat","id":"1","content":"why","on_disconnect":"cancel","reasoning":true}`, string(ask))
		say(ctx, c, `{"type":"status","id":"1","state":"queued","position":3}`, `{"type":"status","id":"1","state":"waiting"}`,
			`{"type":"reasoning","id":"1","content":"let me "}`, `{"type":"reasoning","id":"1","content":"see\u001b[2J"}`,
			`{"type":"chunk","id":"1","content":"because"}`, `{"type":"complete","id":"1","full_response":"because"}`)
		_, _, _ = c.Read(ctx)
	})
	code, stdout, stderr := started(t, nil, "", "chat", "--url", server.URL, "--reasoning", "why")
	require.Zero(t, code, stderr)
	require.Equal(t, "because\n", stdout)
	require.Equal(t, "waiting for room, 2 in front\nlet me see[2J\n", stderr)
}

func TestIdleConversationHearsTheEnd(t *testing.T) {
	server := serverWith(t, "/ws/chat/cli", func(ctx context.Context, _ *testing.T, c *websocket.Conn) {
		say(ctx, c, `{"type":"error","code":"IDLE_TIMEOUT","message":"idle"}`)
		_ = c.Close(websocket.StatusNormalClosure, "")
	})
	base, err := parseTarget(server.URL)
	require.NoError(t, err)
	c, err := dial(t.Context(), chatAddress(base, "cli", ""), nil)
	require.NoError(t, err)
	defer c.close()
	stdin, typed, err := os.Pipe() // nobody types
	require.NoError(t, err)
	defer func() { _ = typed.Close() }()
	var out, errs lockedBuffer
	v := &conversation{client: c, frames: c.frames(t.Context(), &errs), out: &out, errs: &errs}
	err = v.converse(t.Context(), stdin)
	var tr *trouble
	require.True(t, errors.As(err, &tr))
	require.EqualValues(t, "IDLE_TIMEOUT", tr.Code)
}

func TestTargets(t *testing.T) {
	for raw, want := range map[string]string{
		"ws://h:1": "http://h:1", "wss://h": "https://h", "HTTPS://h/x/": "https://h/x", "localhost:8000": "http://localhost:8000", "http://[::1]:8000": "http://[::1]:8000",
	} {
		u, err := parseTarget(raw)
		require.NoError(t, err, raw)
		require.Equal(t, want, u.String())
	}
	for _, raw := range []string{"", "http://", "ftp://h", "ws://h/ws/chat/s", "http://h?x", "http://u:p@h", "http://h\n"} {
		_, err := parseTarget(raw)
		require.Error(t, err, raw)
	}
}

func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"ws://127.0.0.1:8000", "h", "://", "http://[::1", "https://h/%zz"} {
		f.Add(seed, "s")
	}
	f.Fuzz(func(t *testing.T, raw, session string) {
		u, err := parseTarget(raw)
		if err != nil {
			return
		}
		require.Contains(t, []string{"http", "https"}, u.Scheme)
		require.Equal(t, u.Host, chatAddress(u, session, "").Host)
	})
}

func TestTroubleIsShownOnOneLine(t *testing.T) {
	var b bytes.Buffer
	(&trouble{What: "a\r\nb\x1b[2J", Remedy: "c\nd"}).write(&b, "x ", "y ")
	require.Equal(t, "x a b[2J\ny c d\n", b.String())
}
