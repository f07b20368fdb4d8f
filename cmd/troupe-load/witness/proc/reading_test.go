package proc

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseReading(t *testing.T) {
	r, err := ParseReading("# TYPE go_goroutines gauge\ngo_goroutines 12\n# TYPE troupe_connections gauge\ntroupe_connections{state=\"open\"} 3\ntroupe_connections{state=\"closing\"} 1\n", nil)
	require.NoError(t, err)
	require.Equal(t, Reading{Goroutines: 12, Connections: 4}, r)
	for _, page := range []string{"", "{", "# TYPE troupe_pool_slots gauge\ntroupe_pool_slots 1\n"} {
		_, err := ParseReading(page, nil)
		require.Error(t, err, page)
	}
}

func FuzzParseReading(f *testing.F) {
	f.Add("# TYPE go_goroutines gauge\ngo_goroutines 12\n")
	f.Add("404 page not found\n")
	f.Fuzz(func(_ *testing.T, page string) { _, _ = ParseReading(page, nil) })
}
