package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	mostAnswer = 16 << 10 // bytes of the answer to a handshake
	acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// refusal is a server's no: at the handshake, or by an error frame after it.
type refusal struct {
	code       string
	text       string
	retryAfter time.Duration // 0 = it did not say
}

// mostAway bounds how long a client stays away because a server said so.
const mostAway = 24 * time.Hour

// stayAway is a server's word about when to come back, whatever number it says.
func stayAway(seconds float64) time.Duration {
	return time.Duration(min(max(seconds, 0), mostAway.Seconds()) * float64(time.Second))
}

func (r *refusal) Error() string { return r.code + ": " + r.text }

// open connects client n and shakes hands as session. The context bounds all of
// it.
func (t *target) open(ctx context.Context, n int, session string, receiveBuffer int, pool *buffers) (*socket, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	nc, err := t.dial(ctx, n, receiveBuffer)
	if err != nil {
		return nil, &stepError{"connect", err}
	}
	rest, err := t.shake(ctx, nc, session, pool)
	if err != nil {
		linger(nc)
		_ = nc.Close()
		if no := (*refusal)(nil); errors.As(err, &no) {
			return nil, err
		}
		return nil, &stepError{"handshake", err}
	}
	return newSocket(nc, pool, rest), nil
}

// stepError tells how far a connection came.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return e.step + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

func (t *target) shake(ctx context.Context, nc net.Conn, session string, pool *buffers) (rest []byte, err error) {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err()
		}
	}()
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	if _, err := io.WriteString(nc, t.request(session, key)); err != nil {
		return nil, err
	}
	b := pool.get()
	defer pool.put(b)
	filled := 0
	for {
		m, err := nc.Read(b[filled:mostAnswer])
		filled += m
		if end := bytes.Index(b[:filled], []byte("\r\n\r\n")); end >= 0 {
			if err := judgeAnswer(b[:end+4], key, io.MultiReader(bytes.NewReader(b[:filled]), nc)); err != nil {
				return nil, err
			}
			return append([]byte(nil), b[end+4:filled]...), nil
		}
		switch {
		case err != nil:
			return nil, err
		case filled == mostAnswer:
			return nil, fmt.Errorf("the answer has more than %d bytes of headers", mostAnswer)
		}
	}
}

func (t *target) request(session, key string) string {
	request := "GET " + strings.ReplaceAll(t.path, "{{session}}", session) + " HTTP/1.1\r\nHost: " + t.host +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n"
	if t.proto != "" {
		request += "Sec-WebSocket-Protocol: " + t.proto + "\r\n"
	}
	return request + t.extra + "\r\n"
}

// judgeAnswer checks the answer's head. whole is the answer from its beginning
// and whatever may follow it.
func judgeAnswer(head []byte, key string, whole io.Reader) error {
	resp, err := http.ReadResponse(bufio.NewReaderSize(bytes.NewReader(head), len(head)), nil)
	if err != nil {
		return fmt.Errorf("the answer is no HTTP: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return refused(whole)
	}
	sum := sha1.Sum([]byte(key + acceptGUID))
	if resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return errors.New("the answer has a wrong Sec-WebSocket-Accept: something between does not speak WebSocket")
	}
	return nil
}

// refused reads the no of a server: its code where the body tells one.
func refused(answer io.Reader) error {
	resp, err := http.ReadResponse(bufio.NewReader(answer), nil)
	if err != nil {
		return fmt.Errorf("the answer is no HTTP: %w", err)
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // what came is enough for an example
	_ = resp.Body.Close()
	no := &refusal{code: "handshake " + strconv.Itoa(resp.StatusCode), text: string(text)}
	var body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(text, &body) == nil && body.Code != "" {
		no.code, no.text = body.Code, body.Message
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		no.retryAfter = stayAway(float64(seconds))
	}
	return no
}
