package report

import (
	"maps"
	"slices"
	"strings"
)

// ours are the latencies that a run may measure, as they happen.
func ours() []string {
	return []string{LatencyHandshake, LatencyFirst, LatencyGap, LatencyDelay, LatencyAnswer, LatencyCancel, LatencyResume}
}

// measured are the names of latencies with at least one value: ours in the
// order in which they happen, then others by name.
func measured(all ...map[string]Latency) (names []string) {
	seen := map[string]bool{}
	for _, latencies := range all {
		for name, l := range latencies {
			seen[name] = seen[name] || l.Count > 0
		}
	}
	for _, name := range ours() {
		if seen[name] {
			names = append(names, name)
			delete(seen, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if seen[name] {
			names = append(names, name)
		}
	}
	return names
}

// title is a latency's name for people.
func title(name string) string { return strings.ReplaceAll(clean(name), "_", " ") }
