package proc

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	prometheus "github.com/prometheus/common/model"
)

// Reading is the size of one process.
type Reading struct {
	Process     string             `json:"process"`
	Life        int                `json:"life"`
	At          time.Time          `json:"at"`
	Goroutines  int                `json:"goroutines"`
	Descriptors int                `json:"descriptors"`
	Connections int                `json:"connections"`
	Slots       int                `json:"slots"`
	Runs        int                `json:"runs"`
	Resident    float64            `json:"resident"`         // bytes
	Values      map[string]float64 `json:"values,omitempty"` // of the metrics that were wanted
}

// ParseReading takes the figures of one process from its /metrics page.
func ParseReading(page string, wanted []string) (Reading, error) {
	parser := expfmt.NewTextParser(prometheus.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		return Reading{}, fmt.Errorf("metrics: %w", err)
	}
	total := func(name string) (n float64) {
		for _, m := range families[name].GetMetric() {
			n += m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
		}
		return n
	}
	if total("go_goroutines") == 0 {
		return Reading{}, fmt.Errorf("metrics: no go_goroutines among %d families", len(families))
	}
	r := Reading{
		Goroutines:  int(total("go_goroutines")),
		Descriptors: int(total("process_open_fds")),
		Connections: int(total("troupe_connections")),
		Slots:       int(total("troupe_pool_slots")),
		Runs:        int(total("troupe_runs_active")),
		Resident:    total("process_resident_memory_bytes"),
	}
	for _, name := range wanted {
		if r.Values == nil {
			r.Values = map[string]float64{}
		}
		r.Values[name] = total(name)
	}
	return r, nil
}
