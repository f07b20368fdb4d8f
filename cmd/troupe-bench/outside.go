package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// memory is what a process holds, in bytes: live is the heap and the stacks in
// use after a collection, private what the system has given to it alone.
type memory struct{ live, private float64 }

// settled reads the memory when garbage is gone.
func (c *child) settled(ctx context.Context) (memory, error) {
	live, err := c.live(ctx)
	if err != nil {
		return memory{}, err
	}
	private, err := privateBytes(c.pid)
	return memory{live: live, private: private}, err
}

// live is the heap and the stacks in use. The floor collects when asked; troupe
// has no such door and collects when enough was allocated, so its metrics are
// asked for until that has happened a few times. The least reading counts: a
// span stays in use until it is swept, some time after the collection.
func (c *child) live(ctx context.Context) (float64, error) {
	if c.floor {
		return c.floorLive()
	}
	time.Sleep(1500 * time.Millisecond) // runs.keep and a bit: ended runs let go of their text
	const collections, patience = 5, 20_000
	first, least := 0.0, math.Inf(1)
	for i := range patience {
		m, err := scrape(ctx, c.addr)
		if err != nil {
			return 0, err
		}
		least = min(least, m["go_memstats_heap_inuse_bytes"]+m["go_memstats_stack_inuse_bytes"])
		switch cycles := m["go_gc_duration_seconds_count"]; {
		case i == 0:
			first = cycles
		case cycles >= first+collections:
			return least, nil
		}
	}
	return 0, errors.New("troupe did not collect its garbage")
}

// counts are the counters of the WebSocket side.
type counts struct{ frames, writes float64 }

// writesPerFrame is 1 where nothing was sent in two pieces, less where frames
// shared a write, and more where one was split.
func (c counts) writesPerFrame(before counts) float64 {
	if c.frames == before.frames {
		return 1 // the floor: it has no counters, and no other way to write
	}
	return (c.writes - before.writes) / (c.frames - before.frames)
}

func (c *child) counts(ctx context.Context) (counts, error) {
	if c.floor {
		return counts{}, nil
	}
	m, err := scrape(ctx, c.addr)
	return counts{frames: m["troupe_frames_queued_total"], writes: m["troupe_socket_writes_total"]}, err
}

// scrape reads the series without labels of /metrics.
func scrape(ctx context.Context, addr string) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics: %s", res.Status)
	}
	return parseSeries(res.Body)
}

func parseSeries(r io.Reader) (map[string]float64, error) {
	out := map[string]float64{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") || strings.Contains(name, "{") {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
		out[name] = v
	}
	return out, lines.Err()
}
