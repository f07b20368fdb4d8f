package transport

import (
	"net/http"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// Each scrape gathers everything, so only a few do at once.
func TestScrapesAreBounded(t *testing.T) {
	s := start(t, newScripted(), func(c *HTTPConfig, _ *WebSocketConfig) { c.AdminListen = "127.0.0.1:0" })
	metrics := "http://" + s.AdminAddr().String() + "/metrics"
	gathers, goOn := make(chan struct{}, 2*scrapesAtOnce), make(chan struct{})
	s.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "slow", Help: "Waits."}, func() float64 {
		gathers <- struct{}{}
		<-goOn
		return 0
	}))
	var scrapes sync.WaitGroup
	for range scrapesAtOnce {
		scrapes.Go(func() {
			if r, err := http.Get(metrics); err == nil {
				_ = r.Body.Close()
			}
		})
	}
	for range scrapesAtOnce {
		<-gathers
	}
	require.Equal(t, http.StatusServiceUnavailable, ask(t, "GET", metrics, "").status)
	close(goOn)
	scrapes.Wait()
	require.Equal(t, http.StatusOK, ask(t, "GET", metrics, "").status)
}
