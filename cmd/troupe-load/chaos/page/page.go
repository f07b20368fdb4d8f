// Package page shows a fault run: as a page that stands alone, with the verdict,
// a timeline of every client and all tables, and as a still picture.
package page

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/troupe-chat/troupe/cmd/troupe-load/chaos"
	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
)

//go:embed *.js *.css
var parts embed.FS

// Write writes the page of a run, whole or not at all. It loads nothing and needs
// no network, and no text of the result is ever taken for markup.
func Write(path string, r *chaos.Result) error {
	s, err := sheet(r)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return s.Write(path)
}

// carried is what the page holds as JSON.
type carried struct {
	Result *chaos.Result `json:"result"`
	Rows   []row         `json:"rows"`
	Lanes  []lane        `json:"lanes"`
}

func sheet(r *chaos.Result) (*report.Sheet, error) {
	data, err := json.Marshal(carried{Result: r, Rows: rows(r), Lanes: lanes(r)})
	if err != nil {
		return nil, err
	}
	var summary, script strings.Builder
	if err := chaos.Summary(&summary, r); err != nil {
		return nil, err
	}
	for _, name := range []string{"drawing.js", "timeline.js", "tables.js", "page.js"} {
		text, err := parts.ReadFile(name)
		if err != nil {
			return nil, err
		}
		script.Write(text)
	}
	style, err := parts.ReadFile("page.css")
	if err != nil {
		return nil, err
	}
	return &report.Sheet{
		Title: "Fault run: " + r.Scenario, Summary: summary.String(), Data: data, Style: string(style), Script: script.String(),
	}, nil
}
