package engine

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFieldValue(t *testing.T) {
	const text = ` { "a" : "x\"y" , "b":{"c":[1,{"d":2}],"e":"}"}, "n":-1.5e3 , "t":true,"z":null}`
	for _, tt := range []struct {
		path     []string
		want     string
		isString bool
	}{
		{[]string{"a"}, `x\"y`, true},
		{[]string{"b", "c"}, `[1,{"d":2}]`, false},
		{[]string{"b", "e"}, `}`, true},
		{[]string{"n"}, `-1.5e3`, false},
		{[]string{"t"}, `true`, false},
		{[]string{"z"}, `null`, false},
	} {
		raw, isString, ok := fieldValue([]byte(text), tt.path)
		require.True(t, ok, tt.path)
		require.Equal(t, tt.want, string(raw))
		require.Equal(t, tt.isString, isString)
	}
	for _, path := range [][]string{{"q"}, {"a", "b"}, {"b", "q"}} {
		_, _, ok := fieldValue([]byte(text), path)
		require.False(t, ok, path)
	}
	for _, bad := range []string{"", "x", `"a"`, `[1]`, `{`, `{"a`, `{"a"`, `{"a":`, `{"a":"`, `{"b":{`, `{"b":1;"a":2}`, `{a:1}`} {
		_, _, ok := fieldValue([]byte(bad), []string{"a"})
		require.False(t, ok, bad)
	}
}

func TestSameText(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"abc", "abc", true},
		{"abc", "abd", false},
		{`a\u0062c`, "abc", true},
		{`\/`, "/", true},
		{`\n`, `\u000a`, true},
		{`\n`, `\t`, false},
		{`\x`, `x`, false},
	} {
		require.Equal(t, tt.want, sameText([]byte(tt.a), []byte(tt.b)), "%s %s", tt.a, tt.b)
	}
}

// FuzzFieldValue compares with encoding/json wherever that understands the text.
func FuzzFieldValue(f *testing.F) {
	f.Add([]byte(`{"a":"b","c":{"a":[1,2,"}"]}}`), "a")
	f.Add([]byte(`{"x":1,"a":"\\\""}`), "a")
	f.Fuzz(func(t *testing.T, text []byte, key string) {
		raw, isString, ok := fieldValue(text, []string{key})
		var all map[string]json.RawMessage
		if json.Unmarshal(text, &all) != nil || bytes.IndexByte(text, '\\') >= 0 || !ok {
			return // no JSON, or keys with escapes: only that nothing breaks is promised
		}
		if isString {
			raw = append(append([]byte{'"'}, raw...), '"')
		}
		require.True(t, json.Valid(raw))
		require.Contains(t, all, key)
	})
}
