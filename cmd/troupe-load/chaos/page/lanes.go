package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos"
)

// mostLanes bounds how many kinds of faults have a line of their own; the last
// one holds the rest.
const mostLanes = 12

// lane is one line above the timeline: all faults of one label.
type lane struct {
	Label      string       `json:"label"`
	Spans      [][2]float64 `json:"spans"`      // from, to, in ms
	Recoveries []float64    `json:"recoveries"` // when a new question was complete again, in ms
}

// lanes are the faults in the order of their first coming.
func lanes(r *chaos.Result) []lane {
	all := []lane{}
	at := map[string]int{}
	for i := range r.Faults {
		f := &r.Faults[i]
		n, known := at[f.Label]
		if !known {
			n = min(len(all), mostLanes-1)
			if n == len(all) {
				all = append(all, lane{Label: f.Label, Spans: [][2]float64{}, Recoveries: []float64{}})
			} else {
				all[n].Label = "others"
			}
			at[f.Label] = n
		}
		all[n].Spans = append(all[n].Spans, [2]float64{f.From, max(f.From, f.To)})
		if f.Recovery != nil {
			all[n].Recoveries = append(all[n].Recoveries, max(f.From, f.To)+*f.Recovery)
		}
	}
	for i := range all {
		all[i].Label = brief(all[i].Label)
		if n := len(all[i].Spans); n > 1 {
			all[i].Label = fmt.Sprintf("%s (%d×)", all[i].Label, n)
		}
	}
	return all
}

// brief is a label without what its fault was given besides: a lane is narrow, and
// the table of faults has the whole.
func brief(label string) string {
	words := strings.Fields(label)
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return strings.Contains(w, "=") }), " ")
}
