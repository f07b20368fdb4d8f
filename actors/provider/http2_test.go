package provider

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Over HTTP/2 the sender may keep a table of headers for as long as the connection
// lives, to spell none of them twice. No key may get into it: that memory is not
// ours to wipe, and the key may be a user's whose question ended long ago.
func TestHTTP2KeepsNoKey(t *testing.T) {
	blocks := make(chan []byte, 16)
	srv, conns := rawHTTP2(t, blocks)
	chat, err := newOpenAIWire(srv.URL)
	require.NoError(t, err)
	messages, err := newAnthropicWire(srv.URL)
	require.NoError(t, err)
	generate, err := newGeminiWire(srv.URL)
	require.NoError(t, err)
	azure := *chat
	azure.azure = true
	for name, w := range map[string]wire{"Authorization": chat, "Api-Key": &azure, "X-Api-Key": messages, "X-Goog-Api-Key": generate} {
		t.Run(name, func(t *testing.T) {
			conns.Store(0)
			p, err := newVendor("vendor", Config{Type: TypeOpenAI, BaseURL: srv.URL}, w, Deps{})
			require.NoError(t, err)
			p.transport.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			p.transport.TLSClientConfig.NextProtos = nil
			t.Cleanup(func() { require.NoError(t, p.Close()) })
			// Such signs are sent as they are: the code for text would make them longer.
			for _, key := range []string{"{<`{<`{<`{<`{<`{<", "}~^}~^}~^}~^}~^}~^", "{<`{<`{<`{<`{<`{<"} {
				q := ask("a")
				q.Key = secret(key)
				_, _, err := stream(t, p, q)
				requireCode(t, err, protocol.ProviderInterrupted) // the stream is empty
				block := <-blocks
				require.True(t, bytes.Contains(block, []byte(key)), "the key stands in every block anew")
				f, err := readFields(block)
				require.NoError(t, err)
				require.Zero(t, f.kept, "fields for the table")
				require.Positive(t, f.plain)
			}
			require.EqualValues(t, 1, conns.Load(), "one connection serves all calls")
		})
	}
}

// rawHTTP2 is a server that offers a large table, answers every call with an
// empty stream and hands over the calls' header blocks as they came.
func rawHTTP2(t *testing.T, blocks chan<- []byte) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	conns := new(atomic.Int64)
	srv := httptest.NewUnstartedServer(nil)
	srv.EnableHTTP2 = true
	srv.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
		"h2": func(_ *http.Server, c *tls.Conn, _ http.Handler) {
			conns.Add(1)
			_ = serveHTTP2(c, blocks)
		},
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, conns
}

// What of HTTP/2 is needed here.
// https://www.rfc-editor.org/rfc/rfc9113#section-6
const (
	frameData, frameHeaders, frameSettings = 0, 1, 4

	flagEnd, flagAck, flagEndHeaders, flagPriority = 1, 1, 4, 0x20
)

// serveHTTP2 speaks just enough of it, until the client hangs up.
func serveHTTP2(c io.ReadWriter, blocks chan<- []byte) error {
	if _, err := io.CopyN(io.Discard, c, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return err
	}
	write := func(kind, flags byte, id uint32, payload ...byte) error {
		frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))[1:]
		frame = binary.BigEndian.AppendUint32(append(frame, kind, flags), id)
		_, err := c.Write(append(frame, payload...))
		return err
	}
	if err := write(frameSettings, 0, 0, 0, 1, 0, 1, 0, 0); err != nil { // a table of 64 KiB
		return err
	}
	for {
		var head [9]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return err
		}
		kind, flags, id := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(c, payload); err != nil {
			return err
		}
		switch {
		case kind == frameSettings && flags&flagAck == 0:
			if err := write(frameSettings, flagAck, 0); err != nil {
				return err
			}
		case kind == frameHeaders:
			if flags&flagPriority != 0 {
				payload = payload[5:]
			}
			blocks <- payload
		}
		if (kind == frameData || kind == frameHeaders) && flags&flagEnd != 0 {
			if err := errors.Join(write(frameHeaders, flagEndHeaders, id, 0x88), write(frameData, flagEnd, id)); err != nil { // :status 200
				return err
			}
		}
	}
}

// fields counts the fields of a header block by what the reader is to do.
type fields struct {
	kept  int // to be put into the table
	plain int // spelled out, and to be forgotten
}

var errBlock = errors.New("a header block that ends too early")

// readFields takes a header block apart.
// https://www.rfc-editor.org/rfc/rfc7541#section-6
func readFields(block []byte) (f fields, err error) {
	r := bytes.NewReader(block)
	for r.Len() > 0 {
		first, _ := r.ReadByte()
		switch {
		case first&0x80 != 0: // from a table
			_, err = readInteger(r, first, 7)
		case first&0xc0 == 0x40:
			f.kept++
			err = skipField(r, first, 6)
		case first&0xe0 == 0x20: // the table's new size
			_, err = readInteger(r, first, 5)
		default:
			f.plain++
			err = skipField(r, first, 4)
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// skipField passes over a name, which may be one of a table's, and a value.
func skipField(r *bytes.Reader, first byte, bits int) error {
	name, err := readInteger(r, first, bits)
	if err == nil && name == 0 {
		err = skipString(r)
	}
	if err == nil {
		err = skipString(r)
	}
	return err
}

func skipString(r *bytes.Reader) error {
	first, err := r.ReadByte()
	if err != nil {
		return errBlock
	}
	n, err := readInteger(r, first, 7)
	if err != nil || n > r.Len() {
		return errBlock
	}
	_, err = r.Seek(int64(n), io.SeekCurrent)
	return err
}

// readInteger reads a number that begins in the low bits of first.
func readInteger(r *bytes.Reader, first byte, bits int) (int, error) {
	full := 1<<bits - 1
	n := int(first) & full
	if n < full {
		return n, nil
	}
	for shift := 0; shift < 28; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, errBlock
		}
		n += int(b&0x7f) << shift
		if b&0x80 == 0 {
			return n, nil
		}
	}
	return 0, errBlock
}
