package canary

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKeysAreFoundInEverySpelling(t *testing.T) {
	all := Spell([]string{"sk/with+signs and more", Keys()[1]})
	require.Len(t, all, 6*2)
	for _, k := range all {
		how, found := all.In("x" + k.Text + "y")
		require.True(t, found)
		require.Equal(t, k.How == "URL-encoded" && k.Text != Keys()[1], how == "URL-encoded", "the others have no signs")
	}
	for offset := range 3 { // whatever stands beside the key
		text := base64.StdEncoding.EncodeToString([]byte("key="[:1+offset] + Keys()[1] + "&more"))
		_, found := all.In(text)
		require.True(t, found, text)
	}
	_, found := all.In("sk-canary")
	require.False(t, found)
}
