package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html"
	"strings"
)

//go:embed page third_party/uplot
var parts embed.FS

// Sheet is a page that stands alone: it loads nothing, needs no network, and
// holds its data itself as JSON, in the element "result". It has the charts,
// tables and units of this package's own page; Style and Script are put behind
// them. No text of Title, Summary or Data is ever taken for markup.
type Sheet struct {
	Title   string
	Summary string // for readers without scripts
	Data    []byte // JSON in which every <, > and & of texts is escaped, as json.Marshal does
	Style   string
	Script  string
}

// WriteHTML writes a result as a Sheet, whole or not at all.
func WriteHTML(path string, r *Result) error {
	s, err := sheet(r)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return s.Write(path)
}

// Write writes the page, whole or not at all.
func (s *Sheet) Write(path string) error {
	page, err := s.render()
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return WriteWhole(path, []byte(page))
}

// sheet is a result as a page.
func sheet(r *Result) (*Sheet, error) {
	data, err := encode(r)
	if err != nil {
		return nil, err
	}
	script, err := read("page/curves.js", "page/page.js")
	if err != nil {
		return nil, err
	}
	var summary strings.Builder
	if err := Summary(&summary, r); err != nil {
		return nil, err
	}
	return &Sheet{Title: "Load run: " + r.Scenario, Summary: summary.String(), Data: data, Script: script}, nil
}

// render puts the page together. Its policy names the one style and the one
// script by their hashes, so that nothing else could run in it.
func (s *Sheet) render() (string, error) {
	frame, err := read("page/page.html")
	if err != nil {
		return "", err
	}
	style, err := read("third_party/uplot/uPlot.min.css", "page/page.css")
	if err != nil {
		return "", err
	}
	library, err := read("third_party/uplot/uPlot.iife.min.js")
	if err != nil {
		return "", err
	}
	base, err := read("page/units.js", "page/elements.js", "page/charts.js")
	if err != nil {
		return "", err
	}
	licence, err := read("third_party/uplot/LICENSE")
	if err != nil {
		return "", err
	}
	style += s.Style
	script := library + "(() => {\n\"use strict\";\n" + base + s.Script + "})();\n"
	return strings.NewReplacer(
		"{{policy}}", "default-src 'none'; base-uri 'none'; form-action 'none'; script-src "+hash(script)+"; style-src "+hash(style),
		"{{title}}", html.EscapeString(clean(s.Title)),
		"{{summary}}", html.EscapeString(s.Summary),
		"{{style}}", style,
		"{{script}}", script,
		"{{data}}", string(s.Data),
		"{{licence}}", strings.TrimSpace(licence),
	).Replace(frame), nil
}

// read joins files of the page, each ending in a line's end.
func read(names ...string) (string, error) {
	var b strings.Builder
	for _, name := range names {
		data, err := parts.ReadFile(name)
		if err != nil {
			return "", err
		}
		b.WriteString(strings.TrimRight(string(data), "\n") + "\n")
	}
	return b.String(), nil
}

// hash names an inline script or style in a content security policy.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
