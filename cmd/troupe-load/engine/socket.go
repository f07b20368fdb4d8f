package engine

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Sizes and clocks of a socket.
const (
	bufferSize = 32 << 10
	keepRest   = 1 << 10         // a larger buffer of a partial frame is given up when the frame is complete
	hangUpTime = 2 * time.Second // for the other side's half of the goodbye
)

// intake is who a socket's bytes go to.
type intake interface {
	// take decodes what is complete in b; see decoder.decode.
	take(b []byte) (used, need int, err error)
}

// buffers are what sockets read into. One is lent only while there is data.
type buffers struct{ pool sync.Pool }

func (p *buffers) get() *[bufferSize]byte {
	if b, ok := p.pool.Get().(*[bufferSize]byte); ok {
		return b
	}
	return new([bufferSize]byte)
}

func (p *buffers) put(b *[bufferSize]byte) { p.pool.Put(b) }

// socket is one WebSocket after its handshake. One goroutine reads it; anybody
// may write.
type socket struct {
	nc   net.Conn
	pool *buffers
	rate int // bytes a second to read at most; 0 = all there is

	writing sync.Mutex
	own     atomic.Bool   // the tool ended it
	ended   chan struct{} // closed by close
	once    sync.Once

	rest []byte // of a frame that is not complete
	need int    // bytes of that frame, where it is larger than a lent buffer
}

func newSocket(nc net.Conn, pool *buffers, rest []byte) *socket {
	return &socket{nc: nc, pool: pool, ended: make(chan struct{}), rest: rest}
}

// write sends whole frames.
func (s *socket) write(frames []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := s.nc.Write(frames)
	return err
}

// hangUp begins a goodbye: the reader ends when the other side answered, or a
// little later.
func (s *socket) hangUp(code uint16) {
	s.own.Store(true)
	s.complain(code)
}

// complain tells the other side what it did wrong, as far as that goes at once.
func (s *socket) complain(code uint16) {
	if err := s.nc.SetDeadline(time.Now().Add(hangUpTime)); err == nil {
		_ = s.write(appendClose(nil, code))
	}
}

// reset cuts the socket without a word.
func (s *socket) reset() {
	s.own.Store(true)
	s.close()
}

// close frees the descriptor. It waits for the reader, so nobody may call it who
// holds a lock that the reader takes. Thousands of sockets must not linger.
func (s *socket) close() {
	s.once.Do(func() {
		close(s.ended)
		linger(s.nc)
		_ = s.nc.Close()
	})
}

// lent is a buffer to read into: pooled, or the socket's own for a frame that
// is larger than those.
type lent struct {
	pooled *[bufferSize]byte
	buf    []byte
	filled int
}

func (s *socket) lend() lent {
	if s.need > 0 {
		if len(s.rest) == cap(s.rest) { // it grows with what came: a header alone may promise anything
			s.rest = append(make([]byte, 0, min(s.need, 2*cap(s.rest))), s.rest...)
		}
		return lent{buf: s.rest[:cap(s.rest)], filled: len(s.rest)}
	}
	b := s.pool.get()
	return lent{pooled: b, buf: b[:], filled: copy(b[:], s.rest)}
}

func (s *socket) giveBack(l lent) {
	if l.pooled != nil {
		s.pool.put(l.pooled)
	}
}

// digest hands the bytes to in and keeps what is left over.
func (s *socket) digest(l lent, in intake) error {
	used, need, err := in.take(l.buf[:l.filled])
	left := l.buf[used:l.filled]
	switch {
	case need > bufferSize && (s.need == 0 || used > 0):
		s.rest, s.need = append(make([]byte, 0, min(need, 2*bufferSize)), left...), need
	case need > bufferSize:
		s.rest = left // the large frame goes on
	case len(left) == 0 && cap(s.rest) > keepRest:
		s.rest, s.need = nil, 0
	case s.need > 0: // left stands in the buffer that held the large frame
		s.rest, s.need = append([]byte(nil), left...), 0
	default:
		s.rest = append(s.rest[:0], left...)
	}
	s.giveBack(l)
	return err
}

// pumpBlocking is the way to read that every system and TLS has. A buffer is
// lent also while it waits.
func (s *socket) pumpBlocking(in intake) error {
	if len(s.rest) > 0 { // came with the handshake
		if err := s.digest(s.lend(), in); err != nil {
			return err
		}
	}
	for {
		l := s.lend()
		room := l.buf[l.filled:]
		if s.rate > 0 {
			room = room[:min(len(room), max(1, s.rate/10))]
		}
		n, err := s.nc.Read(room)
		if n == 0 && err != nil {
			s.giveBack(l)
			return err
		}
		l.filled += n
		if err := s.digest(l, in); err != nil {
			return err
		}
		if s.rate > 0 && !s.pause(time.Duration(n)*time.Second/time.Duration(s.rate)) {
			return net.ErrClosed
		}
	}
}

// pause returns false where the socket was closed meanwhile.
func (s *socket) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ended:
		return false
	}
}

func linger(nc net.Conn) {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok { // TLS
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
}

// quiet tells whether err is just the end of a socket.
func quiet(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}
