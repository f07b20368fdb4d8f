package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/gobwas/ws"
)

// floorCommand is the hidden first argument that makes this program a floor.
const floorCommand = "floor"

// floorSpec says which floor. Every floor upgrades, waits for a question, says
// the answer, and waits again: one parked goroutine per socket, no limits, no
// actors, no bus, no bounds.
type floorSpec struct {
	Pace  time.Duration // between words; 0 = none
	Words int
	HTTP  bool // net/http in front, else the listener itself
}

func (f floorSpec) args() []string {
	return []string{
		floorCommand, "-pace", f.Pace.String(), "-words", strconv.Itoa(f.Words), "-http=" + strconv.FormatBool(f.HTTP),
	}
}

// floorMain serves until its standard input ends, so that it cannot outlive who
// started it. A line on it asks for the memory in use.
func floorMain(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	var f floorSpec
	flags := flag.NewFlagSet(floorCommand, flag.ContinueOnError)
	flags.DurationVar(&f.Pace, "pace", 0, "")
	flags.IntVar(&f.Words, "words", 1, "")
	flags.BoolVar(&f.HTTP, "http", false, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	go f.serve(l)
	fmt.Fprintln(stdout, "listening", l.Addr())
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		fmt.Fprintln(stdout, collected())
	}
	return nil
}

// collected is the heap and the stacks in use after a collection.
func collected() uint64 {
	runtime.GC()
	runtime.GC() // stacks shrink by half at a time
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// floorLive asks a floor for its memory.
func (c *child) floorLive() (float64, error) {
	if _, err := io.WriteString(c.stdin, "memory\n"); err != nil {
		return 0, err
	}
	if !c.lines.Scan() {
		return 0, io.ErrUnexpectedEOF
	}
	return strconv.ParseFloat(c.lines.Text(), 64)
}

// serve accepts until the listener ends.
func (f floorSpec) serve(l net.Listener) {
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
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			if _, err := ws.Upgrade(nc); err == nil {
				go f.answer(nc, frames) // a fresh goroutine: its stack has not been deep
			}
		}()
	}
}

// answer takes one question after the other and writes the frames at the pace.
func (f floorSpec) answer(nc net.Conn, frames [][]byte) {
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
func (f floorSpec) frames() [][]byte {
	words := answerWords(f.Words)
	out := make([][]byte, 0, len(words)+1)
	text := func(s string) {
		out = append(out, ws.MustCompileFrame(ws.NewTextFrame([]byte(s))))
	}
	for i, w := range words {
		if i < len(words)-1 {
			w += " "
		}
		text(`{"type":"chunk","content":"` + w + `"}`)
	}
	text(`{"type":"complete","full_response":"` + answerText(f.Words) + `"}`)
	return out
}
