package provider

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// fuzzEvent is what holds for any event in any wire.
func fuzzEvent(f *testing.F, kind string, w wire) {
	f.Helper()
	p, err := newVendor("vendor", Config{Type: kind}, w, Deps{})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return // relay takes those for a sign of life
		}
		var a answer
		a.reset(strings.NewReader(""))
		err := w.take(&a, event{data: data})
		e := new(ear)
		if err == nil {
			a.tell(e)
			require.True(t, a.over || gjson.ValidBytes(data))
			require.LessOrEqual(t, len(e.pieces), 1)
			require.LessOrEqual(t, len(e.thoughts), 1)
			require.True(t, len(e.pieces)+len(e.thoughts) == 0 == (e.progress == 1))
		}
		require.Equal(t, a.text.said, len(e.text()))
		require.Equal(t, a.thought.said, len(strings.Join(e.thoughts, "")))
		res := a.result("asked", ask("a"))
		require.True(t, res.Usage.InputTokens >= 0 && res.Usage.OutputTokens >= 0)
		require.NotEmpty(t, res.Model)
		var said vendorError
		if errors.As(err, &said) {
			_, told := p.judge(verdict{vendor: said, model: "m"})
			require.NotEmpty(t, told.Message)
		}
	})
}
