package provider

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

func decodeAll(bodies ...string) string {
	var d textDecoder
	var out []byte
	for _, b := range bodies {
		out = d.append(out, b)
	}
	return string(d.flush(out))
}

func TestTextDecoder(t *testing.T) {
	tests := map[string]struct {
		bodies []string
		want   string
	}{
		"plain":                  {[]string{"Hello there"}, "Hello there"},
		"escapes":                {[]string{`\"\\\/\b\f\n\r\tA`}, "\"\\/\b\f\n\r\tA"},
		"nul":                    {[]string{`\u0000`}, "\x00"},
		"pair":                   {[]string{`\ud83d\ude42`}, "🙂"},
		"pair cut in two deltas": {[]string{`a\ud83d`, `\ude42b`}, "a🙂b"},
		"empty delta between":    {[]string{`\ud83d`, ``, `\ude42`}, "🙂"},
		"lone high":              {[]string{`\ud83d!`}, "\uFFFD!"},
		"lone high at the end":   {[]string{`a\ud83d`}, "a\uFFFD"},
		"lone high, next delta":  {[]string{`\ud83d`, `b`}, "\uFFFDb"},
		"lone low":               {[]string{`\ude42!`}, "\uFFFD!"},
		"high high low":          {[]string{`\ud83d\ud83d\ude42`}, "\uFFFD🙂"},
		"high then escape":       {[]string{`\ud83d\n`}, "\uFFFD\n"},
		"high then letter":       {[]string{`\ud83d\u0041`}, "\uFFFDA"},
		"invalid bytes":          {[]string{"a\xffb\xc3"}, "a\uFFFDb\uFFFD"},
		"multibyte":              {[]string{"żółw 日本 🙂"}, "żółw 日本 🙂"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { require.Equal(t, tt.want, decodeAll(tt.bodies...)) })
	}
}

// FuzzText has encoding/json as its oracle.
func FuzzText(f *testing.F) {
	for _, s := range []string{`a`, `\ud83d\ude42`, `\ud83d`, `\ude42\ud83d\n`, "\xff", `\\\"`, `\u00e9é`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		quoted := `"` + body + `"`
		if !gjson.Valid(quoted) {
			return
		}
		var want string
		if json.Unmarshal([]byte(quoted), &want) != nil {
			return
		}
		got := decodeAll(body)
		require.Equal(t, want, got)
		require.True(t, utf8.ValidString(got))
	})
}
