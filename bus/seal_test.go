package bus

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSeal(t *testing.T) {
	pair, err := NewKeyPair()
	require.NoError(t, err)
	other, err := NewKeyPair()
	require.NoError(t, err)
	require.NotEqual(t, pair.PublicKey(), other.PublicKey())
	require.Len(t, pair.PublicKey(), 1216)

	key := []byte("sk-canary")
	info := SealInfo("job1", "openai")
	sealed, err := Seal(pair.PublicKey(), key, info)
	require.NoError(t, err)
	require.Len(t, sealed, len(key)+1136)
	require.NotContains(t, string(sealed), "canary")
	require.Equal(t, "sk-canary", string(key), "the caller's key is untouched")

	opened, err := pair.Open(sealed, info)
	require.NoError(t, err)
	require.Equal(t, key, opened)

	again, err := Seal(pair.PublicKey(), key, info)
	require.NoError(t, err)
	require.NotEqual(t, sealed, again)

	for name, wrong := range map[string]string{
		"job": SealInfo("job2", "openai"), "provider": SealInfo("job1", "anthropic"), "none": "",
	} {
		_, err = pair.Open(sealed, wrong)
		require.ErrorIs(t, err, ErrSeal, name)
	}
	_, err = other.Open(sealed, info)
	require.ErrorIs(t, err, ErrSeal, "sealed to another worker")
	for _, i := range []int{0, 600, 1119, 1120, len(sealed) - 1} {
		tampered := append([]byte(nil), sealed...)
		tampered[i] ^= 1
		_, err = pair.Open(tampered, info)
		require.ErrorIs(t, err, ErrSeal, "byte %d", i)
	}
	for _, short := range [][]byte{nil, {}, sealed[:10], sealed[:1120], sealed[:len(sealed)-1]} {
		_, err = pair.Open(short, info)
		require.ErrorIs(t, err, ErrSeal)
	}
	for _, public := range [][]byte{nil, make([]byte, 7), make([]byte, 1217)} {
		_, err = Seal(public, key, info)
		require.ErrorIs(t, err, ErrMalformed)
	}
}

func TestSealInfoIsUnambiguous(t *testing.T) {
	require.NotEqual(t, SealInfo("a/b", "c"), SealInfo("a", "b/c"))
	require.NotEqual(t, SealInfo("1/a", ""), SealInfo("", "1/a"))
}

func FuzzOpen(f *testing.F) {
	pair, err := NewKeyPair()
	require.NoError(f, err)
	sealed, err := Seal(pair.PublicKey(), []byte("k"), "i")
	require.NoError(f, err)
	f.Add(sealed[:100], "i")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, data []byte, info string) {
		_, err := pair.Open(data, info)
		require.ErrorIs(t, err, ErrSeal)
	})
}

func BenchmarkSealAndOpen(b *testing.B) {
	pair, err := NewKeyPair()
	require.NoError(b, err)
	for b.Loop() {
		sealed, _ := Seal(pair.PublicKey(), []byte("sk-0123456789"), "info")
		if _, err := pair.Open(sealed, "info"); err != nil {
			b.Fatal(err)
		}
	}
}
