package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// pageOf writes a result as a page and reads it back.
func pageOf(t *testing.T, r *Result) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.html")
	require.NoError(t, WriteHTML(path, r))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// tag is a start tag or the whole of an element that holds raw text.
type tag struct{ name, attributes, text string }

// tags takes a page apart as a browser does: what stands in a script or a style
// ends at its end tag and nowhere else.
func tags(t *testing.T, page string) (all []tag) {
	t.Helper()
	start := regexp.MustCompile(`^<([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*>`)
	for page != "" {
		at := strings.IndexByte(page, '<')
		if at < 0 {
			return all
		}
		page = page[at:]
		if strings.HasPrefix(page, "<!--") {
			page = page[strings.Index(page, "-->")+3:]
			continue
		}
		m := start.FindStringSubmatch(page)
		if m == nil {
			require.Regexp(t, `^(</[a-z0-9]+>|<!doctype html>)`, page)
			page = page[1:]
			continue
		}
		page = page[len(m[0]):]
		one := tag{name: strings.ToLower(m[1]), attributes: m[2]}
		if one.name == "script" || one.name == "style" || one.name == "title" {
			end := strings.Index(strings.ToLower(page), "</"+one.name)
			require.GreaterOrEqual(t, end, 0)
			one.text, page = page[:end], page[end:]
		}
		all = append(all, one)
	}
	return all
}

func TestPageNeedsNothingFromOutside(t *testing.T) {
	for _, r := range []*Result{sample(1, 1), soiled()} {
		allowed := []string{"html", "head", "meta", "title", "style", "body", "main", "noscript", "p", "pre", "script"}
		for _, one := range tags(t, pageOf(t, r)) {
			require.Contains(t, allowed, one.name)
			require.NotRegexp(t, `\b(src|href|srcset|action|data|poster|style|on[a-z]+)=`, one.attributes)
			if one.name == "style" {
				require.NotRegexp(t, `url\(|@import|@font-face`, one.text)
			}
			if one.name == "script" && !strings.Contains(one.attributes, "json") {
				require.NotRegexp(t, `\bfetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|\bimport\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(`, one.text)
			}
		}
	}
}

func TestPagePolicyNamesItsOwnParts(t *testing.T) {
	page := pageOf(t, sample(1, 1))
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	require.NotNil(t, policy)
	require.Contains(t, policy[1], "default-src 'none'")
	require.NotContains(t, policy[1], "unsafe")
	seen := map[string]int{}
	for _, one := range tags(t, page) {
		switch {
		case one.name == "style":
			require.Contains(t, policy[1], "style-src "+hash(one.text))
		case one.name == "script" && !strings.Contains(one.attributes, "json"):
			require.Contains(t, policy[1], "script-src "+hash(one.text))
		default:
			continue
		}
		seen[one.name]++
	}
	require.Equal(t, map[string]int{"style": 1, "script": 1}, seen)
}

func TestHostileTextStaysText(t *testing.T) {
	page := pageOf(t, soiled())
	require.NotContains(t, page, "<img")
	require.NotContains(t, page, "{{policy}}")
	require.Equal(t, 2, strings.Count(page, "</script"))
	scripts := 0
	for _, one := range tags(t, page) {
		if one.name != "script" {
			continue
		}
		scripts++
		if strings.Contains(one.attributes, "json") {
			var r Result
			require.NoError(t, json.Unmarshal([]byte(one.text), &r))
			require.Equal(t, hostile, r.Scenario)
			require.Equal(t, hostile, r.Errors[0].Example)
		}
	}
	require.Equal(t, 2, scripts)
}

func TestPageTellsEveryTotal(t *testing.T) {
	page := pageOf(t, sample(1, 1))
	require.Contains(t, page, `["answers/s", each(r.totals.answered)]`, "a rate is of what ended while it was measured")
	names := regexp.MustCompile(`const names = \["connections".*\];`).FindString(page)
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Totals]()) {
		if name := field.Tag.Get("json"); name != "bytes" { // which has a row of its own
			require.Contains(t, names, `"`+name+`"`)
		}
	}
}

func TestPageCarriesTheLicence(t *testing.T) {
	licence, err := os.ReadFile("third_party/uplot/LICENSE")
	require.NoError(t, err)
	require.NotContains(t, string(licence), "--", "the licence stands in a comment")
	require.Contains(t, pageOf(t, sample(1, 1)), strings.TrimSpace(string(licence)))
}

func TestThirdPartyIsWhatItSays(t *testing.T) {
	data, err := os.ReadFile("third_party/uplot/VERSIONS.json")
	require.NoError(t, err)
	var libraries []struct {
		Name, Version, License, Package string
		Files                           map[string]string
	}
	require.NoError(t, json.Unmarshal(data, &libraries))
	require.Len(t, libraries, 1)
	require.Len(t, libraries[0].Files, 3)
	for name, want := range libraries[0].Files {
		content, err := os.ReadFile(filepath.Join("third_party/uplot", name))
		require.NoError(t, err)
		sum := sha256.Sum256(content)
		require.Equal(t, want, hex.EncodeToString(sum[:]), name)
	}
	library, err := os.ReadFile("third_party/uplot/uPlot.iife.min.js")
	require.NoError(t, err)
	require.Contains(t, string(library[:100]), "v"+libraries[0].Version)
}
