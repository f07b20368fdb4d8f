package report

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestJSONRoundTrip(t *testing.T) {
	for _, r := range []*Result{sample(1, 1), soiled(), {}} {
		path := filepath.Join(t.TempDir(), "out.json")
		require.NoError(t, WriteJSON(path, r))
		got, err := ReadJSON(path)
		require.NoError(t, err)
		want := *r
		want.Format = Format
		if r.Server != nil {
			delete(want.Server.After, "odd") // no number
		}
		// What is no valid text or too odd for JSON does not occur in a result; all else comes back.
		require.Empty(t, cmp.Diff(&want, got))
	}
}

func TestWriteJSONLeavesTheResultAlone(t *testing.T) {
	r := sample(1, 1)
	r.Format = 0
	require.NoError(t, WriteJSON(filepath.Join(t.TempDir(), "out.json"), r))
	require.Zero(t, r.Format)
	require.Contains(t, r.Server.After, "odd")
}

// What a server says of itself must not cost the result.
func TestWriteJSONOfFiguresThatAreNoNumbers(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		r := sample(1, 1)
		r.Series[3].ServerCPU, r.Series[4].ServerBytes = v, v
		r.Server.CPUSeconds, r.Server.PeakBytes = v, v
		path := filepath.Join(t.TempDir(), "out.json")
		require.NoError(t, WriteJSON(path, r))
		got, err := ReadJSON(path)
		require.NoError(t, err)
		require.Zero(t, got.Server.PeakBytes)
		require.Zero(t, got.Series[3].ServerCPU)
		require.NotZero(t, got.Series[2].ServerCPU)
	}
}

func TestReadJSONRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                               "is not a result of troupe-load: give the file that run --json wrote",
		`{"a":1}`:                        "is not a result of troupe-load",
		`[]`:                             "is not a result of troupe-load",
		`{"format":2} {}`:                "is not a result of troupe-load",
		`{"format":2,"seconds":"x"}`:     "is not a result of troupe-load",
		`{"format":9,"tool":"v9\u001b"}`: `has format 9 of results, this troupe-load reads format 2: use the version that wrote it ("v9")`,
		`{"format":1,"tool":"v1"}`:       `has the older format 1 of results, whose rates are counted otherwise; this troupe-load reads format 2: run it again, or use the version that wrote it ("v1")`,
	} {
		path := filepath.Join(t.TempDir(), "in.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := ReadJSON(path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, path)
	}
	_, err := decode(make([]byte, 1025), 1024)
	require.ErrorContains(t, err, "is larger than 1.00 KiB, which no result is")
	_, err = ReadJSON(filepath.Join(t.TempDir(), "none.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestReplaceIsWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(path, []byte("before"), 0o600))
	broken := errors.New("broken")
	require.ErrorIs(t, replace(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "half")
		return errors.Join(err, broken)
	}), broken)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "before", string(data))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing else is left")
}

func TestReplaceKeepsLinksAndDevices(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(target, nil, 0o600))
	if err := os.Symlink(target, link); err != nil {
		t.Skip("no symbolic links here")
	}
	require.NoError(t, WriteJSON(link, sample(1, 1)))
	_, err := ReadJSON(target)
	require.NoError(t, err)
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink)

	require.NoError(t, WriteJSON(os.DevNull, sample(1, 1)))
	info, err = os.Stat(os.DevNull)
	require.NoError(t, err)
	require.False(t, info.Mode().IsRegular())
}

func TestWriteErrorsNameTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "out")
	require.ErrorContains(t, WriteJSON(path, sample(1, 1)), "write "+path)
	require.ErrorContains(t, WriteHTML(path, sample(1, 1)), "write "+path)
}
