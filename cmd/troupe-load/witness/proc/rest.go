package proc

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/troupe-chat/troupe/cmd/troupe-load/witness/crew"
)

// Clocks of the resting.
const (
	restTime  = 10 * time.Second
	restEvery = 50 * time.Millisecond
)

// slackDescriptors is that of a resting process: a scrape, a reconnect.
const slackDescriptors = 4

// Grown tells whether a process holds more than it did at rest, beyond a slack.
func (r Reading) Grown(before Reading, slackGoroutines int) bool {
	return r.Goroutines > before.Goroutines+slackGoroutines || r.Descriptors > before.Descriptors+slackDescriptors
}

// Read takes the figures of the process, the wanted ones among them, and its page
// for the search for keys.
func (p *Process) Read(ctx context.Context, wanted []string) (Reading, string, error) {
	page, err := p.Admin.Get(ctx, "/metrics")
	if err != nil {
		return Reading{}, "", fmt.Errorf("%s: %w", p.Name, err)
	}
	r, err := ParseReading(page, wanted)
	if err != nil {
		return Reading{}, "", fmt.Errorf("%s: %w", p.Name, err)
	}
	r.Process, r.Life, r.At = p.Name, p.Life(), time.Now()
	return r, page, nil
}

// Rest takes the baseline of this life: three equal readings in a row are rest. On
// a busy machine that may not come within ten seconds; the last reading counts
// then, and calm is false.
func (p *Process) Rest(ctx context.Context) (calm bool, err error) {
	var last Reading
	late := time.Now().Add(restTime)
	same := 0
	for same < 3 {
		now, _, err := p.Read(ctx, nil)
		if err != nil {
			return false, err
		}
		if now.Goroutines == last.Goroutines && now.Descriptors == last.Descriptors {
			same++
		} else {
			same = 0
		}
		if last = now; time.Now().After(late) {
			break
		}
		if !crew.Sleep(ctx, restEvery) {
			return false, context.Cause(ctx)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.baseline = &last
	return same == 3, nil
}

// Rested returns the baseline; false for a life that has none, since it began under
// load.
func (p *Process) Rested() (Reading, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.baseline == nil {
		return Reading{}, false
	}
	return *p.baseline, true
}

// RestAgain forgets the baseline: it is to be taken anew.
func (p *Process) RestAgain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.baseline = nil
}

// Knows waits until a gateway knows so many workers.
func (p *Process) Knows(ctx context.Context, workers int) error {
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	for {
		n := p.workers(ctx)
		if n == workers {
			return nil
		}
		if !crew.Sleep(ctx, askEvery) {
			return fmt.Errorf("%s knows %d of %d workers; it said: %s", p.Name, n, workers, p.LastWords())
		}
	}
}

// workers is how many a gateway says there are, -1 where it does not.
func (p *Process) workers(ctx context.Context) int {
	page, err := p.Admin.Get(ctx, "/api/health")
	var health struct {
		Workers int `json:"workers"`
	}
	if err != nil || json.Unmarshal([]byte(page), &health) != nil {
		return -1
	}
	return health.Workers
}

// Sink is a text in which no key may be.
type Sink struct {
	Name string `json:"name"`
	Text string `json:"-"`
}

// Logs returns what every process with its logs in dir has written in all its
// lives.
func Logs(dir string) (all []Sink, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, Sink{Name: filepath.Base(name), Text: string(data)})
	}
	return all, nil
}
