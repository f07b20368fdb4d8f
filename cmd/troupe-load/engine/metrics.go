package engine

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds of a server's metrics.
const (
	scrapeTime   = 2 * time.Second
	mostMetrics  = 8 << 20
	mostSeries   = 5000
	cpuSeries    = "process_cpu_seconds_total"
	memorySeries = "process_resident_memory_bytes"
)

// watch reads what a server says of itself. A server that does not answer at
// the first try is left alone.
type watch struct {
	url    string
	client *http.Client

	mu     sync.Mutex
	note   string // why there is nothing
	cpu    float64
	at     time.Time
	rate   float64 // cores
	memory float64
	peak   float64
}

// newWatch returns nil where metrics are off.
func newWatch(url string, insecure bool) *watch {
	if url == "" || url == "off" {
		return nil
	}
	return &watch{url: url, client: &http.Client{
		Timeout:       scrapeTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: insecure}, MaxIdleConns: 1},
	}}
}

// read takes all series now, and keeps what is shown while the run goes on.
func (w *watch) read(ctx context.Context) (map[string]float64, error) {
	series, err := w.fetch(ctx)
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if w.note == "" && ctx.Err() == nil {
			w.note = err.Error()
		}
		return nil, err
	}
	if cpu, ok := series[cpuSeries]; ok {
		if passed := now.Sub(w.at).Seconds(); !w.at.IsZero() && passed > 0.2 {
			w.rate = max(0, cpu-w.cpu) / passed
			w.cpu, w.at = cpu, now
		} else if w.at.IsZero() {
			w.cpu, w.at = cpu, now
		}
	}
	w.memory = series[memorySeries]
	w.peak = max(w.peak, w.memory)
	return series, nil
}

func (w *watch) fetch(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s; metrics may be for operators only: ask from the server's own machine, or give --metrics URL or off", w.url, resp.Status)
	}
	return parseMetrics(io.LimitReader(resp.Body, mostMetrics))
}

// now is what was read last: cores used and bytes resident.
func (w *watch) now() (cores, bytes float64) {
	if w == nil {
		return 0, 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rate, w.memory
}

// follow reads once a second until ctx ends.
func (w *watch) follow(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = w.read(ctx) // the note tells
		}
	}
}

// parseMetrics reads the Prometheus text format: series by name with labels.
// Buckets of histograms are left out.
func parseMetrics(r io.Reader) (map[string]float64, error) {
	series := map[string]float64{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		name, value, ok := parseSeries(lines.Text())
		if ok && len(series) < mostSeries {
			series[name] = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(series) == 0 {
		return nil, errors.New("the metrics hold no series in the Prometheus text format")
	}
	return series, nil
}

func parseSeries(line string) (name string, value float64, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", 0, false
	}
	end := strings.LastIndexByte(line, '}') + 1
	if end == 0 {
		end = max(strings.IndexByte(line, ' '), 0)
	}
	name = line[:end]
	fields := strings.Fields(line[end:]) // the value, perhaps a time
	if name == "" || len(fields) == 0 || strings.Contains(name, "_bucket{") {
		return "", 0, false
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	return name, value, err == nil && !math.IsNaN(value) && !math.IsInf(value, 0) // JSON has neither
}
