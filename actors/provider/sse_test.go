package provider

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// readEvents collects events until the reader's error, which it returns too.
func readEvents(src io.Reader) ([]string, error) {
	var r sseReader
	r.reset(src)
	var all []string
	for {
		ev, err := r.next()
		if err != nil {
			return all, err
		}
		if ev.data == nil {
			continue
		}
		if len(ev.data) == 0 {
			continue
		}
		name := ""
		if ev.failed {
			name = "error:"
		}
		all = append(all, name+string(ev.data))
	}
}

func TestSSE(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []string
	}{
		"LF":                        {"data: a\n\ndata: b\n\n", []string{"a", "b"}},
		"CRLF":                      {"data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}},
		"CR":                        {"data: a\r\rdata: b\r\r", []string{"a", "b"}},
		"mixed":                     {"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r", []string{"a", "b", "c"}},
		"no space":                  {"data:a\n\n", []string{"a"}},
		"one space goes":            {"data:  a \n\n", []string{" a "}},
		"data lines join":           {"data: a\ndata\ndata: b\n\n", []string{"a\n\nb"}},
		"comments":                  {": hi\ndata: a\n:\ndata: b\n\n: bye\n\n", []string{"a\nb"}},
		"other fields":              {"id: 7\nretry: 5\nfoo: bar\nbaz\ndata: a\n\n", []string{"a"}},
		"event error":               {"event: error\ndata: a\n\ndata: b\n\n", []string{"error:a", "b"}},
		"event error without data":  {"event: error\n\ndata: b\n\n", []string{"b"}},
		"byte order mark":           {"\xEF\xBB\xBFdata: a\n\n", []string{"a"}},
		"mark later is no mark":     {"data: a\n\n\xEF\xBB\xBFdata: b\n\n", []string{"a"}},
		"whole lines at the end":    {"data: a\n", []string{"a"}},
		"whole CR line at the end":  {"data: a\r", []string{"a"}},
		"half a line at the end":    {"data: a\n\ndata: b", []string{"a"}},
		"half a line spoils event":  {"data: a\ndata: b", nil},
		"nothing":                   {"", nil},
		"empty lines":               {"\n\n\r\n\r\r", nil},
		"name is not data":          {"Data: a\ndatas: b\n\n", nil},
		"longer than first buffer":  {"data: " + strings.Repeat("x", 3*firstBuffer) + "\n\n", []string{strings.Repeat("x", 3*firstBuffer)}},
		"larger than first, in all": {strings.Repeat("data: abc\n\n", 2000), repeat("abc", 2000)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for how, src := range map[string]io.Reader{
				"whole":      strings.NewReader(tt.in),
				"bytewise":   iotest.OneByteReader(strings.NewReader(tt.in)),
				"error late": iotest.DataErrReader(strings.NewReader(tt.in)),
			} {
				got, err := readEvents(src)
				require.Equal(t, io.EOF, err, how)
				require.Equal(t, tt.want, got, how)
			}
			for i := range min(len(tt.in), 200) {
				got, _ := readEvents(io.MultiReader(strings.NewReader(tt.in[:i]), strings.NewReader(tt.in[i:])))
				require.Equal(t, tt.want, got, "split at %d", i)
			}
		})
	}
}

func repeat(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

func TestSSEBrokenSourceCompletesNothing(t *testing.T) {
	broken := errors.New("reset")
	got, err := readEvents(io.MultiReader(strings.NewReader("data: a\n\ndata: b\n"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	require.Equal(t, []string{"a"}, got)
}

func TestSSEBounds(t *testing.T) {
	t.Run("line", func(t *testing.T) {
		got, err := readEvents(strings.NewReader("data: a\n\ndata: " + strings.Repeat("x", maxEvent)))
		require.ErrorIs(t, err, errEventTooLong)
		require.Equal(t, []string{"a"}, got)
	})
	t.Run("event", func(t *testing.T) {
		_, err := readEvents(strings.NewReader(strings.Repeat("data: "+strings.Repeat("x", 1000)+"\n", 1200)))
		require.ErrorIs(t, err, errEventTooLong)
	})
	t.Run("a source that says nothing", func(t *testing.T) {
		_, err := readEvents(iotest.ErrReader(nil))
		require.ErrorIs(t, err, io.ErrNoProgress)
	})
	t.Run("large buffers are not kept", func(t *testing.T) {
		var r sseReader
		r.reset(strings.NewReader("data: " + strings.Repeat("x", 5*keepBuffer) + "\n\n"))
		for range 100 {
			if _, err := r.next(); err != nil {
				break
			}
		}
		require.Greater(t, len(r.buf), keepBuffer)
		r.reset(nil)
		require.Len(t, r.buf, firstBuffer)
		require.LessOrEqual(t, cap(r.data), keepBuffer)
	})
}

func TestSSEEveryReadIsASignOfLife(t *testing.T) {
	var r sseReader
	r.reset(iotest.OneByteReader(strings.NewReader(": alive\n")))
	for i := range len(": alive\n") {
		ev, err := r.next()
		require.NoError(t, err, "byte %d", i)
		require.Empty(t, ev.data)
	}
	_, err := r.next()
	require.Equal(t, io.EOF, err)
}

// FuzzSSE compares the reader with a slow one that sees the whole stream, and
// itself under another cut.
func FuzzSSE(f *testing.F) {
	for _, s := range []string{"data: a\n\n", "data: a\r\rdata: b\r\n\r\n", ":\n\n", "\xEF\xBB\xBFdata:x\n\n", "event: error\ndata: 1\n", "data\n\ndata:\n\n", "a\rb\nc"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		want := slowEvents(in)
		got, err := readEvents(bytes.NewReader(in))
		require.Equal(t, io.EOF, err)
		require.Equal(t, want, got)
		got, _ = readEvents(iotest.OneByteReader(bytes.NewReader(in)))
		require.Equal(t, want, got)
		if cut > 0 && cut < len(in) {
			got, _ = readEvents(io.MultiReader(bytes.NewReader(in[:cut]), bytes.NewReader(in[cut:])))
			require.Equal(t, want, got)
		}
	})
}

// slowEvents is the standard's algorithm, written for reading.
func slowEvents(in []byte) []string {
	text := strings.ReplaceAll(string(in), "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	lines := strings.Split(text, "\n")
	half := lines[len(lines)-1] // behind the last line end
	lines = append(lines[:len(lines)-1], "")
	if half != "" {
		lines = lines[:len(lines)-1]
	}
	var all, data []string
	failed := false
	for i, line := range lines {
		if i == 0 {
			line = strings.TrimPrefix(line, "\xEF\xBB\xBF")
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if joined := strings.Join(data, "\n"); joined != "" {
				if failed {
					joined = "error:" + joined
				}
				all = append(all, joined)
			}
			data, failed = nil, false
		case name == "data":
			data = append(data, value)
		case name == "event":
			failed = value == "error"
		}
	}
	return all
}
