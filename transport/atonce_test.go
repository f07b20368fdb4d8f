package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// hello is a handshake as clients write it, with one thing changed.
func hello(path, old, with string) string {
	return strings.Replace("GET "+path+" HTTP/1.1\r\nHost: localhost:8000\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://localhost:8000\r\n\r\n", old, with, 1)
}

// accepted returns both ends of a connection.
func accepted(t *testing.T) (client net.Conn, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	nc, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	return client, nc.(*net.TCPConn)
}

// offer has the server look at what a client sent.
func (r running) offer(client net.Conn, tcp *net.TCPConn, request string) (left net.Conn) {
	r.t.Helper()
	_, err := io.WriteString(client, request)
	require.NoError(r.t, err)
	base := context.WithValue(r.t.Context(), listenerKey{}, r.serving[0].listener)
	require.Eventually(r.t, func() bool {
		left = r.atOnce(base, tcp)
		return left != net.Conn(tcp) // else the bytes are still on their way
	}, 10*time.Second, time.Millisecond)
	return left
}

// TestHandshakesAreServedAlikeBothWays: whatever is offered, net/http alone and
// the server with its short way give the same answer and introduce the same
// client, and what takes the short way is what it is meant for.
func TestHandshakesAreServedAlikeBothWays(t *testing.T) {
	gw := newScripted()
	s := start(t, gw)
	long := httptest.NewUnstartedServer(http.HandlerFunc(s.handle))
	long.Config.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.Background(), listenerKey{}, s.serving[0].listener)
	}
	long.Listener = newListener(long.Listener, false, s.Server.log)
	long.Start()
	defer long.Close()

	for name, c := range map[string]struct {
		request string
		short   bool // else net/http's, which may refuse it or not
	}{
		"plain":              {hello("/ws/chat/s1", "", ""), true},
		"other address":      {hello("/api/ws/chat/s1?x=1", "", ""), true},
		"customer":           {hello("/ws/chat/customer/11/a%2Fb", "", ""), true},
		"empty product":      {hello("/ws/chat/customer//s", "", ""), true},
		"no session":         {hello("/ws/chat/", "", ""), true},
		"no origin":          {hello("/ws/chat/s1", "Origin: http://localhost:8000\r\n", ""), true},
		"forwarded":          {hello("/ws/chat/s1", "Origin", "X-Forwarded-For: 10.1.2.3\r\nOrigin"), true},
		"evil origin":        {hello("/ws/chat/s1", "Origin: http://localhost:8000", "Origin: http://evil.example"), false},
		"two origins":        {hello("/ws/chat/s1", "Origin:", "Origin: http://localhost:3000\r\nOrigin:"), false},
		"nowhere":            {hello("/ws/chats/s1", "", ""), false},
		"a page":             {hello("/", "", ""), false},
		"absolute":           {hello("http://localhost:8000/ws/chat/s1", "", ""), false},
		"absolute, no Host":  {hello("http://localhost:8000/ws/chat/s1", "Host: localhost:8000\r\n", ""), false},
		"absolute, bad Host": {hello("http://localhost:8000/ws/chat/s1", "Host: localhost:8000", "Host: a b<c>"), false},
		"POST":               {hello("/ws/chat/s1", "GET", "POST"), false},
		"HTTP/1.0":           {hello("/ws/chat/s1", "HTTP/1.1", "HTTP/1.0"), false},
		"HTTP/1.9":           {hello("/ws/chat/s1", "HTTP/1.1", "HTTP/1.9"), false},
		"no host":            {hello("/ws/chat/s1", "Host: localhost:8000\r\n", ""), false},
		"two hosts":          {hello("/ws/chat/s1", "Host:", "Host: evil.example\r\nHost:"), false},
		"strange host":       {hello("/ws/chat/s1", "localhost:8000", "local/host"), false},
		"no upgrade":         {hello("/ws/chat/s1", "Upgrade: websocket\r\n", ""), false},
		"no connection":      {hello("/ws/chat/s1", "keep-alive, Upgrade", "keep-alive"), false},
		"no version":         {hello("/ws/chat/s1", "Sec-WebSocket-Version: 13\r\n", ""), false},
		"version 8":          {hello("/ws/chat/s1", "13", "8"), false},
		"bad key":            {hello("/ws/chat/s1", "dGhl", "!!!!"), false},
		"body":               {hello("/ws/chat/s1", "Origin", "Content-Length: 3\r\nOrigin") + "abc", false},
		"two lengths":        {hello("/ws/chat/s1", "Origin", "Content-Length: 0\r\nContent-Length: 1\r\nOrigin"), false},
		"chunked":            {hello("/ws/chat/s1", "Origin", "Transfer-Encoding: chunked\r\nOrigin") + "0\r\n\r\n", false},
		"expectation":        {hello("/ws/chat/s1", "Origin", "Expect: 100-continue\r\nOrigin"), false},
		"folded line":        {hello("/ws/chat/s1", "websocket", "web\r\n socket"), false},
		"space in a name":    {hello("/ws/chat/s1", "Origin:", "Origin :"), false},
		"tab":                {hello("/ws/chat/s1", "websocket", "\twebsocket"), false},
		"bare line feed":     {hello("/ws/chat/s1", "websocket\r\n", "websocket\n"), false},
		"bare return":        {hello("/ws/chat/s1", "websocket", "web\rsocket"), false},
		"other letters":      {hello("/ws/chat/s1", "Origin", "X-Name: \xc3\xa4\r\nOrigin"), false},
		"a NUL":              {hello("/ws/chat/s1", "Origin", "X-Name: a\x00b\r\nOrigin"), false},
		"bad escape":         {hello("/ws/chat/%zz", "", ""), false},
		"many headers":       {hello("/ws/chat/s1", "Origin", strings.Repeat("X-A: b\r\n", 65)+"Origin"), false},
		"large headers":      {hello("/ws/chat/s1", "Origin", "X-A: "+strings.Repeat("b", 7<<10)+"\r\nX-B: "+strings.Repeat("b", 900)+"\r\nOrigin"), false},
		"no HTTP":            {"\x16\x03\x01\x02\x00\x01\r\n\r\n", false},
		"nothing but ends":   {"\r\n\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			client, tcp := accepted(t)
			left := s.offer(client, tcp, c.request)
			require.Equal(t, c.short, left == nil)
			var introduced protocol.Client
			if left == nil {
				introduced = <-gw.opened
				require.NoError(t, client.Close())
				gw.cause(t)
			} else {
				first := make([]byte, len(c.request))
				_, err := io.ReadFull(left, first)
				require.NoError(t, err)
				require.Equal(t, c.request, string(first), "net/http gets all of it")
			}

			var answers, bodies []string
			var clients []protocol.Client
			for _, addr := range []string{long.Listener.Addr().String(), s.Addrs()[0].String()} {
				status, body := answerTo(t, addr, c.request)
				answers, bodies = append(answers, status), append(bodies, body)
				if strings.Contains(status, " 101 ") {
					clients = append(clients, <-gw.opened)
					gw.cause(t)
				}
			}
			if c.short {
				require.Contains(t, answers[0], " 101 ")
				clients = append(clients, introduced)
			}
			for i := range clients {
				require.Len(t, clients[i].Connection, 26)
				clients[i].Connection = ""
				require.Equal(t, clients[0], clients[i])
			}
			require.Equal(t, answers[0], answers[1])
			require.Equal(t, bodies[0], bodies[1])
		})
	}
}

// answerTo sends bytes as they are and reads the answer.
func answerTo(t *testing.T, addr, request string) (status, body string) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer nc.Close()
	require.NoError(t, nc.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(nc, request)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(nc), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res.Proto + " " + res.Status, res.Header.Get("Sec-Websocket-Accept") + res.Header.Get("Upgrade") + res.Header.Get("Connection")
	}
	data, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.Proto + " " + res.Status, string(data) + res.Header.Get(noSniff)
}

// A client need not wait for the answer before it asks, and what came in one
// piece with the handshake is not lost on either way.
func TestWhatComesWithTheHandshakeIsHeard(t *testing.T) {
	gw := newScripted()
	s := start(t, gw)
	chat := "\x81\x98\x00\x00\x00\x00" + `{"type":"ping","id":"1"}`
	for name, request := range map[string]string{
		"short": hello("/ws/chat/s1", "", ""), "long": hello("/ws/chat/s1", "websocket", "\twebsocket"),
	} {
		t.Run(name, func(t *testing.T) {
			client, tcp := accepted(t)
			left := s.offer(client, tcp, request+chat)
			require.Equal(t, name == "long", left != nil)
			if left != nil {
				one := &oneConn{c: left, over: make(chan struct{})}
				server := &http.Server{Handler: http.HandlerFunc(s.handle), ReadHeaderTimeout: time.Minute}
				go server.Serve(one)
				defer server.Close()
				defer close(one.over)
			}
			<-gw.opened
			require.NoError(t, client.SetDeadline(time.Now().Add(10*time.Second)))
			var heard []byte
			for !strings.Contains(string(heard), `"type":"complete"`) { // the script's answer
				some := make([]byte, 512)
				n, err := client.Read(some)
				require.NoError(t, err, "after %q", heard)
				heard = append(heard, some[:n]...)
			}
			require.NoError(t, client.Close())
			gw.cause(t)
		})
	}
}

// oneConn is a listener for one connection.
type oneConn struct {
	c    net.Conn
	over chan struct{}
}

func (l *oneConn) Accept() (c net.Conn, err error) {
	if c, l.c = l.c, nil; c != nil {
		return c, nil
	}
	<-l.over
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// The operators' listener has no chat, whole handshake or not.
func TestOperatorsAreNotServedAtOnce(t *testing.T) {
	gw := newScripted()
	s := start(t, gw, func(c *HTTPConfig, _ *WebSocketConfig) { c.AdminListen = "127.0.0.1:0" })
	for range 20 {
		status, _ := answerTo(t, s.AdminAddr().String(), hello("/ws/chat/s1", "", ""))
		require.Equal(t, "HTTP/1.1 404 Not Found", status)
	}
}

// What was read in front is let go of once it was read again, and the end of an
// answer is said at once.
func TestFrontedIsAPlainConnection(t *testing.T) {
	client, tcp := accepted(t)
	f := &fronted{Conn: tcp, front: make([]byte, 16<<10)}
	_, err := io.ReadFull(f, make([]byte, 16<<10))
	require.NoError(t, err)
	require.Nil(t, f.front)
	require.NoError(t, f.CloseWrite())
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

// cutting ends each socket while it is being opened, as the end of a shutdown may.
type cutting struct {
	*scripted
	opens *atomic.Int64
}

// Open implements Gateway.
func (g cutting) Open(s Socket, c protocol.Client) Session {
	k := g.scripted.Open(s, c)
	over := make(chan struct{})
	go func() {
		s.(*conn).cut(protocol.CauseServer)
		close(over)
	}()
	if g.opens.Add(1)%2 == 0 { // before, or while, the session is known
		<-over
	}
	return k
}

// A socket that is cut while it is being opened tells its session.
func TestCutWhileItOpens(t *testing.T) {
	gw := newScripted()
	s := start(t, gw)
	s.sockets.gateway = cutting{gw, new(atomic.Int64)}
	for range 200 {
		client, tcp := accepted(t)
		s.offer(client, tcp, hello("/ws/chat/s1", "", ""))
		<-gw.opened
		require.Equal(t, protocol.CauseServer, gw.cause(t))
		_ = client.Close()
	}
}
