package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
)

// biggest bounds a result that is read, in bytes; a run of a day takes some 60 MB.
const biggest = 256 << 20

// WriteJSON writes a result to a file, whole or not at all, in the present
// Format. Figures that are no numbers, which a server's metrics may hold, are
// left out.
func WriteJSON(path string, r *Result) error {
	data, err := encode(r)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = replace(path, func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// encode is a result as JSON that may stand inside an HTML script: every <, >
// and & of its texts is escaped.
func encode(r *Result) ([]byte, error) {
	whole := *r
	whole.Format = Format
	whole.Series = slices.Clone(r.Series)
	for i := range whole.Series {
		p := &whole.Series[i]
		p.ServerCPU, p.ServerBytes = number(p.ServerCPU), number(p.ServerBytes)
	}
	if r.Server != nil {
		server := *r.Server
		server.CPUSeconds, server.PeakBytes = number(server.CPUSeconds), number(server.PeakBytes)
		server.Before, server.After = finite(server.Before), finite(server.After)
		whole.Server = &server
	}
	return json.Marshal(whole)
}

// number is v, or 0 where v is none: JSON has no infinity, and a server's figures
// must not cost the whole result.
func number(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

func finite(series map[string]float64) map[string]float64 {
	series = maps.Clone(series)
	maps.DeleteFunc(series, func(_ string, v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
	return series
}

// ReadWhole reads the file of a result. More than 256 MiB are cut off, which
// whoever decodes it notices.
func ReadWhole(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, biggest+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return data, nil
}

// ReadJSON reads what WriteJSON wrote. It refuses another Format, anything that
// is no result, and more than 256 MiB.
func ReadJSON(path string) (*Result, error) {
	data, err := ReadWhole(path)
	if err != nil {
		return nil, err
	}
	r, err := decode(data, biggest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

var errForeign = errors.New("is not a result of troupe-load: give the file that run --json wrote")

func decode(data []byte, most int) (*Result, error) {
	if len(data) > most {
		return nil, fmt.Errorf("is larger than %s, which no result is", size(float64(most)))
	}
	var head struct {
		Format *int   `json:"format"`
		Tool   string `json:"tool"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("%w (%w)", errForeign, err)
	}
	if head.Format == nil {
		return nil, errForeign
	}
	if *head.Format < Format {
		return nil, fmt.Errorf("has the older format %d of results, whose rates are counted otherwise; this troupe-load reads format %d: run it again, or use the version that wrote it (%q)", *head.Format, Format, clean(head.Tool))
	}
	if *head.Format != Format {
		return nil, fmt.Errorf("has format %d of results, this troupe-load reads format %d: use the version that wrote it (%q)", *head.Format, Format, clean(head.Tool))
	}
	r := new(Result)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%w (%w)", errForeign, err)
	}
	return r, nil
}
