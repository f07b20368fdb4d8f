package main

import (
	"context"
	"flag"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/gobwas/ws"
)

// writesSpec says which bare write loop. Every one upgrades, waits for a
// question, says the answer, and waits again: one parked goroutine per socket,
// no limits, no actors, no bus, no bounds, and frames made beforehand.
type writesSpec struct {
	speech
	HTTP bool // net/http in front, else the listener itself
}

func (f writesSpec) args() []string {
	return []string{"-pace", f.Pace.String(), "-words", strconv.Itoa(f.Words), "-http=" + strconv.FormatBool(f.HTTP)}
}

func writesMain(ctx context.Context, args []string) (string, error) {
	var f writesSpec
	flags := flag.NewFlagSet(commandWrites, flag.ContinueOnError)
	flags.DurationVar(&f.Pace, "pace", 0, "")
	flags.IntVar(&f.Words, "words", 1, "")
	flags.BoolVar(&f.HTTP, "http", false, "")
	if err := flags.Parse(args); err != nil {
		return "", err
	}
	l, err := listenLoopback(ctx)
	if err != nil {
		return "", err
	}
	go f.serve(l)
	return l.Addr().String(), nil
}

// serve accepts until the listener ends.
func (f writesSpec) serve(l net.Listener) {
	frames := f.frames()
	if f.HTTP {
		handler := func(w http.ResponseWriter, r *http.Request) {
			if nc, _, _, err := ws.UpgradeHTTP(r, w); err == nil {
				go f.answer(nc, frames)
			}
		}
		srv := &http.Server{Handler: http.HandlerFunc(handler), ReadHeaderTimeout: time.Minute}
		_ = srv.Serve(l)
		return
	}
	acceptUpgraded(l, func(nc net.Conn) { f.answer(nc, frames) })
}

// acceptUpgraded gives every WebSocket a goroutine of its own, until the
// listener ends.
func acceptUpgraded(l net.Listener, f func(nc net.Conn)) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			if _, err := ws.Upgrade(nc); err != nil {
				_ = nc.Close()
				return
			}
			go f(nc) // a fresh goroutine: its stack has not been deep
		}()
	}
}

// answer takes one question after the other and writes the frames at the pace.
func (f writesSpec) answer(nc net.Conn, frames [][]byte) {
	defer func() { _ = nc.Close() }()
	for {
		if !skipFrame(nc) {
			return
		}
		var beat *time.Ticker
		if f.Pace > 0 {
			beat = time.NewTicker(f.Pace)
		}
		for _, b := range frames {
			if beat != nil {
				<-beat.C
			}
			if _, err := nc.Write(b); err != nil {
				return
			}
		}
		if beat != nil {
			beat.Stop()
		}
	}
}

// skipFrame reads one frame of a client and forgets it. It parks with nothing
// in hand but its header.
func skipFrame(nc net.Conn) bool {
	h, err := ws.ReadHeader(nc)
	if err != nil {
		return false
	}
	var buf [512]byte
	for n := h.Length; n > 0; {
		m, err := nc.Read(buf[:min(n, int64(len(buf)))])
		if err != nil {
			return false
		}
		n -= int64(m)
	}
	return true
}

// frames are the answer: a chunk per word and the end, the bytes that troupe
// sends for the same question, made once.
func (f writesSpec) frames() [][]byte {
	out := make([][]byte, 0, f.Words+1)
	text := func(s string) {
		out = append(out, ws.MustCompileFrame(ws.NewTextFrame([]byte(s))))
	}
	for _, piece := range spaced(repeated(question, f.Words)) {
		text(chunkStart + piece + frameEnd)
	}
	text(completeStart + f.text() + frameEnd)
	return out
}
