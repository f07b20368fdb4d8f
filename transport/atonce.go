package transport

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// atOnce serves a connection whose first bytes are a whole WebSocket handshake
// that nothing is wrong with, and returns nil. Whatever else a client says, or
// says later, is net/http's: it gets the connection with the bytes that were
// read in front, and is the only one who refuses. So both ways give the same
// answer to the same request; this one needs no goroutine, and no buffers that
// are lost when a connection is hijacked.
//
// It runs on the listener's goroutine and never blocks.
func (s *Server) atOnce(ctx context.Context, tcp *net.TCPConn) (left net.Conn) {
	buf := s.sockets.buffers.large()
	n, err := readNow(tcp, buf)
	defer func() { s.sockets.buffers.put(buf, n) }()
	if err != nil || n == 0 {
		return tcp // net/http finds out
	}
	defer func() {
		if p := recover(); p != nil {
			s.log.Error().Str("panic", panicText(p)).Bytes("stack", debug.Stack()).Msg("panic in a handshake")
			_ = tcp.Close()
			left = nil
		}
	}()
	if early, r := s.handshake(ctx, tcp, buf[:n]); r != nil {
		if c, ok := s.welcome(r); ok {
			s.sockets.open(tcp, early, r.Header.Get(headerKey), c)
			return nil
		}
	}
	return &fronted{Conn: tcp, front: bytes.Clone(buf[:n])}
}

// handshake reads a request off the first bytes of a connection, with net/http's
// own parser and as its server would. A nil request is one that is not all there,
// or holds anything that a handshake does not need.
func (s *Server) handshake(ctx context.Context, tcp *net.TCPConn, first []byte) (early []byte, r *http.Request) {
	end := bytes.Index(first, []byte("\r\n\r\n"))
	if end < 0 || end > maxHeaderBytes {
		return nil, nil
	}
	if !bytes.HasPrefix(first, []byte("GET ")) || !bytes.Contains(first[:end], []byte("/ws/")) || !plainHead(first[:end]) {
		return nil, nil // as nearly all that is no handshake, without parsing it twice
	}
	head := s.heads.Get().(*head)
	defer s.heads.Put(head)
	r, err := head.read(first[:end+4])
	if err != nil || r.URL.Host != "" || r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor != 1 || !plainHost(r.Host) ||
		r.ContentLength != 0 || len(r.TransferEncoding) > 0 || r.Header["Expect"] != nil || !plainNames(r.Header) {
		return nil, nil
	}
	r.RemoteAddr = tcp.RemoteAddr().String()
	if rest := first[end+4:]; len(rest) > 0 {
		early = bytes.Clone(rest)
	}
	return early, r.WithContext(ctx)
}

// welcome judges a request in handle's order, and tells who asks. Where anything
// is to be refused ok is false.
func (s *Server) welcome(r *http.Request) (c protocol.Client, ok bool) {
	if tooManyHeaders(r.Header) || !isUpgrade(r) {
		return c, false
	}
	found, p, ok := match(s.routes, r.URL)
	if !ok || found.area != areaChat || !s.judge(r).allowed || checkHandshake(r) != nil || s.sockets.closing() {
		return c, false
	}
	c = protocol.Client{Kind: protocol.WebSocket, Session: p.session, Product: p.product, Customer: strings.Contains(found.pattern, "{product_id}")}
	return s.client(r, c), true
}

// head is a reader of requests, to be used again.
type head struct {
	from bytes.Reader
	buf  *bufio.Reader
}

func newHead() any { return &head{buf: bufio.NewReader(nil)} }

func (h *head) read(b []byte) (*http.Request, error) {
	h.from.Reset(b)
	h.buf.Reset(&h.from)
	defer h.from.Reset(nil)
	return http.ReadRequest(h.buf)
}

// plainHead tells whether a head is lines of printable ASCII, none of which goes
// on on the next. What a server has to look at twice is not.
func plainHead(head []byte) bool {
	for i, b := range head {
		switch {
		case ' ' <= b && b <= '~':
		case b == '\r' && i+1 < len(head) && head[i+1] == '\n':
		case b == '\n' && i > 0 && head[i-1] == '\r' && i+1 < len(head) && head[i+1] != ' ':
		default:
			return false
		}
	}
	return true
}

// plainNames tells whether headers have names of letters, digits and hyphens.
func plainNames(h http.Header) bool {
	for name := range h {
		for i := range len(name) {
			switch b := name[i]; {
			case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-':
			default:
				return false
			}
		}
	}
	return true
}

// plainHost tells whether a Host is a name or an address, with or without a port.
func plainHost(host string) bool {
	for i := range len(host) {
		switch b := host[i]; {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9':
		case b == '.', b == '-', b == '_', b == ':', b == '[', b == ']':
		default:
			return false
		}
	}
	return host != ""
}

// fronted is a connection of which the first bytes were read already.
type fronted struct {
	net.Conn
	front []byte // owned by the one who reads
}

// Read implements net.Conn.
func (f *fronted) Read(b []byte) (int, error) {
	if len(f.front) == 0 {
		return f.Conn.Read(b)
	}
	n := copy(b, f.front)
	clear(f.front[:n]) // a request may carry keys
	if f.front = f.front[n:]; len(f.front) == 0 {
		f.front = nil // an empty slice would hold its array
	}
	return n, nil
}

// CloseWrite lets net/http say at once that an answer was its last.
func (f *fronted) CloseWrite() error { return f.Conn.(*net.TCPConn).CloseWrite() }
