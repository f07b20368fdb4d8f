package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// memory is what a process holds, in bytes: live is the heap and the stacks in
// use after a collection, objects what is alive in that heap, and private what
// the system has given to the process alone.
type memory struct{ live, objects, private float64 }

// settled reads the memory of troupe when garbage is gone. It has no door to ask
// for a collection and collects when enough was allocated, so its metrics are
// asked for until that has happened a few times. The least reading counts: a
// span stays in use until it is swept, some time after the collection.
func (c *child) settled(ctx context.Context) (memory, error) {
	const collections, asks = 5, 20_000
	first, least := 0.0, memory{live: math.Inf(1), objects: math.Inf(1)}
	for i := range asks {
		m, err := c.scrape(ctx)
		if err != nil {
			return memory{}, err
		}
		least.live = min(least.live, m["go_memstats_heap_inuse_bytes"]+m["go_memstats_stack_inuse_bytes"])
		least.objects = min(least.objects, m["go_memstats_heap_alloc_bytes"])
		switch cycles := m["go_gc_duration_seconds_count"]; {
		case i == 0:
			first = cycles
		case cycles >= first+collections:
			least.private, err = c.atRest(ctx)
			return least, err
		}
	}
	return memory{}, errors.New("troupe did not collect its garbage")
}

// atRest reads the private memory of a process that nobody disturbs, once it has
// not fallen for longer than troupe takes to notice that it is quiet.
func (c *child) atRest(ctx context.Context) (float64, error) {
	const still, longest, step, noise = 11 * time.Second, 40 * time.Second, 250 * time.Millisecond, 64 << 10
	least, began := math.Inf(1), time.Now()
	for fell := began; time.Since(fell) < still && time.Since(began) < longest; {
		now, err := privateBytes(c.pid)
		if err != nil {
			return 0, err
		}
		if now < least-noise {
			least, fell = now, time.Now()
		}
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return least, nil
}

// settledFloor reads the memory of one of our small programs, which collects
// when it is asked.
func (c *child) settledFloor(context.Context) (memory, error) {
	answer, err := c.ask("memory")
	if err != nil {
		return memory{}, err
	}
	live, err := strconv.ParseFloat(answer, 64)
	if err != nil {
		return memory{}, err
	}
	private, err := privateBytes(c.pid)
	return memory{live: live, private: private}, err
}

// counts are the counters of the WebSocket side.
type counts struct{ frames, writes float64 }

func (c *child) counts(ctx context.Context) (counts, error) {
	m, err := c.scrape(ctx)
	return counts{frames: m["troupe_frames_queued_total"], writes: m["troupe_socket_writes_total"]}, err
}

// scrape reads the series without labels of /metrics.
func (c *child) scrape(ctx context.Context) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	res, err := get(ctx, c.addr, "/metrics")
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
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
