package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// fetchTimeout bounds a question to a process: a paused one never answers.
const fetchTimeout = 2 * time.Second

// newHTTPClient keeps no connection: an idle one would count as a descriptor of
// the process that is measured.
func newHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: fetchTimeout}
}

// fetch returns the body of a 200 answer.
func fetch(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %d", url, resp.StatusCode)
	}
	return string(data), err
}

// parseReading takes the figures of one process from its /metrics page.
func parseReading(page string) (reading, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		return reading{}, fmt.Errorf("metrics: %w", err)
	}
	total := func(name string) (n int) {
		for _, m := range families[name].GetMetric() {
			n += int(m.GetGauge().GetValue())
		}
		return n
	}
	if total("go_goroutines") == 0 {
		return reading{}, fmt.Errorf("metrics: no go_goroutines among %d families", len(families))
	}
	return reading{
		Goroutines:  total("go_goroutines"),
		Descriptors: total("process_open_fds"),
		Connections: total("troupe_connections"),
		Slots:       total("troupe_pool_slots"),
		Runs:        total("troupe_runs_active"),
	}, nil
}
