package oracle

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// An answer of the benchmark: so many chunks of one word.
const (
	benchChunks = 1000
	benchWord   = " token"
)

// BenchmarkRelay is what a streamed chunk costs over HTTP, for each wire and of
// the same bytes: a bare reader of lines, which understands nothing and hears
// only that there are bytes; ours; and the vendor's library. x-bare and x-ours
// say how many times as long as those a reader took.
//
// The server's part is in all of them. At once it is next to nothing: the whole
// answer is one write. Chunk by chunk, as vendors answer, every event is a write
// and a read of its own.
func BenchmarkRelay(b *testing.B) {
	for _, wire := range faulty.Wires() {
		b.Run(string(wire)+"/at-once", func(b *testing.B) { benchReaders(b, wire, false) })
		b.Run(string(wire)+"/by-chunk", func(b *testing.B) { benchReaders(b, wire, true) })
	}
}

func benchReaders(b *testing.B, wire faulty.Wire, byChunk bool) {
	url, client := benchServer(b, wire, byChunk), newClient(b)
	bare := measured(b, "bare", 0, func(ctx context.Context) error { return readLines(ctx, client, url) })
	p := newOurs(b, string(wire), benchBase(url, wire))
	ours := measured(b, "ours", bare, func(ctx context.Context) error {
		var n scale
		_, err := p.Stream(ctx, question(), &n)
		return n.check(err)
	})
	theirs := newTheirs(b, wire, url)
	measured(b, "library", ours, func(ctx context.Context) error { return weigh(ctx, theirs) })
}

// benchServer answers everything with one stream.
func benchServer(b *testing.B, wire faulty.Wire, byChunk bool) (url string) {
	b.Helper()
	s := faulty.Script{
		Deltas: []string{benchWord}, Repeats: benchChunks - 1,
		Usage: &protocol.Usage{InputTokens: 8, OutputTokens: benchChunks},
	}
	writes := [][]byte{s.Stream(wire, testModel)}
	if byChunk {
		writes = bytes.SplitAfter(writes[0], []byte("}\r\n\r\n"))
		if wire != faulty.Gemini {
			writes = bytes.SplitAfter(writes[0], []byte("}\n\n"))
		}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for _, some := range writes {
			_, _ = w.Write(some)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	b.Cleanup(srv.Close)
	return srv.URL
}

func benchBase(url string, wire faulty.Wire) string {
	if wire == faulty.Gemini {
		return url + "/v1beta"
	}
	return url + "/v1"
}

// measured runs one reader and returns its nanoseconds a chunk. before is those
// of the reader that it is compared with: ours with bare, the library with ours.
func measured(b *testing.B, reader string, before float64, read func(context.Context) error) (each float64) {
	b.Run(reader, func(b *testing.B) {
		var start, end runtime.MemStats
		require.NoError(b, read(b.Context())) // the connection is open, the buffers are there
		runtime.ReadMemStats(&start)
		for b.Loop() {
			if err := read(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		runtime.ReadMemStats(&end)
		chunks := float64(b.N) * benchChunks
		each = float64(b.Elapsed().Nanoseconds()) / chunks
		b.ReportMetric(0, "ns/op") // of a whole answer: left out
		b.ReportMetric(each, "ns/chunk")
		b.ReportMetric(float64(end.TotalAlloc-start.TotalAlloc)/chunks, "B/chunk")
		b.ReportMetric(float64(end.Mallocs-start.Mallocs)/chunks, "allocs/chunk")
		if before > 0 {
			b.ReportMetric(each/before, map[string]string{"ours": "x-bare", "library": "x-ours"}[reader])
		}
	})
	return each
}

// readLines is the least that anybody can do with an event stream.
func readLines(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	r := bufio.NewReader(resp.Body)
	for {
		if _, err := r.ReadSlice('\n'); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// scale is a provider.Sink that weighs what it hears.
type scale int

func (n *scale) Text(piece []byte) { *n += scale(len(piece)) }
func (n *scale) Reasoning([]byte)  {}
func (n *scale) Progress()         {}

// check tells whether everything was heard.
func (n *scale) check(err error) error {
	if err == nil && int(*n) != benchChunks*len(benchWord) {
		return fmt.Errorf("%d bytes were heard", *n)
	}
	return err
}

var _ provider.Sink = (*scale)(nil)

// weigh streams one answer through a library and does nothing with it that a
// caller need not do.
func weigh(ctx context.Context, l library) error {
	var n scale
	switch l := l.(type) {
	case openAI:
		s := l.chat.NewStreaming(ctx, openAIParams(question()))
		for s.Next() {
			if c := s.Current().Choices; len(c) > 0 {
				n += scale(len(c[0].Delta.Content))
			}
		}
		return n.check(s.Err())
	case anthropicSDK:
		s := l.messages.NewStreaming(ctx, anthropicParams(question()))
		for s.Next() {
			n += scale(len(s.Current().Delta.Text))
		}
		return n.check(s.Err())
	case gemini:
		contents, config := geminiParams(question())
		for chunk, err := range l.models.GenerateContentStream(ctx, testModel, contents, config) {
			if err != nil {
				return err
			}
			for _, c := range chunk.Candidates {
				for _, p := range c.Content.Parts {
					n += scale(len(p.Text))
				}
			}
		}
	}
	return n.check(nil)
}
