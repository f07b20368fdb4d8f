package protocol

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// hostileTexts are texts that break writers of JSON, HTML, logs and terminals.
func hostileTexts() []string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return []string{
		"", "a", "Hello there!", `"`, `\`, `\\`, `\"`, `"}{"type":"complete"`, "\x00", "\x1f", "\x7f", "\u0080",
		"line\r\nbreak\ttab\b\f", "<script>alert('&')</script>", "\u2028\u2029", "é", "日本語", "😀", "👩‍👩‍👧‍👦",
		"\ud7ff\ue000\uffff", "\U0010ffff", "\ufffd", "\ufeff", "\u202eevil", `\u0041`, `\ud83d`,
		"\xff", "a\xc3", "\xc3a", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80", "\xc0\xaf", string(all),
		strings.Repeat("ascii only ", 100), strings.Repeat("日本", 50) + `"`, strings.Repeat(`\`, 33),
		"1234567\"", "12345678\"", "123456789\\", "1234567\n12345678\x01",
	}
}

func TestAppendEscaped(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", ""},
		{"Hello", "Hello"},
		{`say "hi"`, `say \"hi\"`},
		{`C:\dir`, `C:\\dir`},
		{"a\nb\rc\td\be\ff", `a\nb\rc\td\be\ff`},
		{"\x00\x01\x1f", `\u0000\u0001\u001f`},
		{"\x7f", "\x7f"},
		{"<b>&amp;</b>", "<b>&amp;</b>"},
		{"/", "/"},
		{"\u2028\u2029", "\u2028\u2029"},
		{"日本語😀", "日本語😀"},
		{"\ufffd", "\ufffd"},
		{"a\xffb", `a\ufffdb`},
		{"\xe2\x82", `\ufffd\ufffd`},
		{"1234567\xff1234567\"", `1234567\ufffd1234567\"`},
	} {
		require.Equal(t, test.want, string(AppendEscaped(nil, []byte(test.text))), "%q", test.text)
		require.Equal(t, test.want, string(AppendEscapedString(nil, test.text)), "%q", test.text)
		require.Equal(t, "before"+test.want, string(AppendEscapedString([]byte("before"), test.text)), "%q", test.text)
		require.Equal(t, len(test.want), EscapedLen([]byte(test.text)), "%q", test.text)
	}
}

func TestAppendEscapedOfEveryByteAtEveryPlace(t *testing.T) {
	for c := range 256 {
		for at := range 18 {
			text := []byte(strings.Repeat("x", 18))
			text[at] = byte(c)
			checkEscape(t, text)
		}
	}
}

// Every second byte after every first, and the edges of the third and fourth.
func TestRuneAtAgreesWithTheStandardLibrary(t *testing.T) {
	edges := []byte{0x7f, 0x80, 0xbf, 0xc0}
	for first := 0x80; first < 0x100; first++ {
		for second := range 0x100 {
			for _, third := range edges {
				for _, fourth := range edges {
					s := []byte{byte(first), byte(second), third, fourth}
					for n := 1; n <= len(s); n++ {
						r, want := utf8.DecodeRune(s[:n])
						size, ok := runeAt(s[:n], 0)
						if size != want || ok != (r != utf8.RuneError || want > 1) {
							t.Fatalf("% x: size %d, ok %t", s[:n], size, ok)
						}
					}
				}
			}
		}
	}
}

func TestEscapeRoundTrip(t *testing.T) {
	for _, text := range hostileTexts() {
		checkEscape(t, []byte(text))
	}
}

func TestUnescapeReadsOtherWriters(t *testing.T) {
	for _, test := range []struct{ escaped, want string }{
		{`\/`, "/"},
		{`\u00e9\u00E9`, "éé"},
		{`\ud83d\ude00`, "😀"},
		{`\uD83D\uDE00x`, "😀x"},
		{`\ud83d`, "\ufffd"},
		{`\ud83dx`, "\ufffdx"},
		{`\ud83d\n`, "\ufffd\n"},
		{`\ud83d\u0041`, "\ufffdA"},
		{`\ud83d\ud83d\ude00`, "\ufffd😀"},
		{`\ude00`, "\ufffd"},
		{`\u0000`, "\x00"},
		{"\xff", "\ufffd"},
		{"é日", "é日"},
	} {
		got, err := Unescape([]byte("> "), []byte(test.escaped))
		require.NoError(t, err, test.escaped)
		require.Equal(t, "> "+test.want, string(got), test.escaped)
		checkUnescape(t, []byte(test.escaped))
	}
}

func TestUnescapeRefuses(t *testing.T) {
	for _, escaped := range []string{
		`\`, `ab\`, `\x41`, `\u`, `\u00`, `\u00g0`, `\u004`, `\U0041`, `"`, `a"b`, "a\nb", "\x00", `\ud83d\`, `\ud83d\u`, `\ud83d\uzzzz`,
	} {
		_, err := Unescape(nil, []byte(escaped))
		require.ErrorContains(t, err, "at byte", escaped)
		checkUnescape(t, []byte(escaped))
	}
	_, err := Unescape(nil, []byte(`secret\q`))
	require.NotContains(t, err.Error(), "secret")
}

func TestEscapeAllocatesNothing(t *testing.T) {
	text := []byte(strings.Join(hostileTexts(), ""))
	word := string(text)
	escaped := AppendEscaped(nil, text)
	dst := make([]byte, 0, 2*len(escaped))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		dst = AppendEscaped(dst[:0], text)
		dst = AppendEscapedString(dst[:0], word)
		dst, _ = Unescape(dst[:0], escaped)
		EscapedLen(text)
	}))
}

// checkEscape holds the escaper against encoding/json.
func checkEscape(t *testing.T, text []byte) {
	t.Helper()
	escaped := AppendEscaped(nil, text)
	require.Equal(t, string(escaped), string(AppendEscapedString(nil, string(text))))
	require.Len(t, escaped, EscapedLen(text))

	var parsed string
	require.NoError(t, json.Unmarshal(quoted(escaped), &parsed), "%q", text)
	plain, err := Unescape(nil, escaped)
	require.NoError(t, err)
	require.Equal(t, parsed, string(plain))
	require.Equal(t, string([]rune(string(text))), parsed, "each byte that is not UTF-8 becomes one U+FFFD")
	if utf8.Valid(text) {
		require.Equal(t, string(text), parsed)
	}
}

// checkUnescape holds Unescape against encoding/json, for any bytes.
func checkUnescape(t *testing.T, escaped []byte) {
	t.Helper()
	var want string
	wantErr := json.Unmarshal(quoted(escaped), &want)
	got, err := Unescape(nil, escaped)
	require.Equal(t, wantErr == nil, err == nil, "%q: encoding/json says %v, Unescape %v", escaped, wantErr, err)
	if err == nil {
		require.Equal(t, want, string(got), "%q", escaped)
	}
}

func quoted(escaped []byte) []byte {
	return append(append([]byte{'"'}, escaped...), '"')
}

func FuzzEscape(f *testing.F) {
	for _, text := range hostileTexts() {
		f.Add([]byte(text))
	}
	f.Add([]byte(`\ud83d\ude00\ud83d\u00`))
	f.Fuzz(func(t *testing.T, text []byte) {
		checkEscape(t, text)
		checkUnescape(t, text)
	})
}

func benchmarkTexts() []struct{ name, text string } {
	return []struct{ name, text string }{
		{"token", " hello"},
		{"ascii", strings.Repeat("The quick brown fox jumps over the lazy dog. ", 23)[:1024]},
		{"code", strings.Repeat("if x < 1 {\n\treturn \"a\"\n}\n", 42)[:1024]},
		{"cjk", strings.Repeat("日本語のテキスト", 43)[:1020]},
		{"control", strings.Repeat("\x01\"\n\\", 256)},
	}
}

func BenchmarkAppendEscaped(b *testing.B) {
	for _, bb := range benchmarkTexts() {
		b.Run(bb.name, func(b *testing.B) {
			src, dst := []byte(bb.text), make([]byte, 0, 8*len(bb.text))
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendEscaped(dst[:0], src)
			}
		})
	}
}

func BenchmarkUnescape(b *testing.B) {
	for _, bb := range benchmarkTexts() {
		b.Run(bb.name, func(b *testing.B) {
			src, dst := AppendEscapedString(nil, bb.text), make([]byte, 0, 8*len(bb.text))
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = Unescape(dst[:0], src)
			}
		})
	}
}
