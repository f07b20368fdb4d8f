package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestMonitoringAsksForWhatIsExported compares every family of the alerts, the
// dashboard and the operators' page, and every label and value that selects
// series of it, with the list. That the queries parse, and that alerts fire when
// they should, is tested in deploy/monitoring/check.
func TestMonitoringAsksForWhatIsExported(t *testing.T) {
	families := goldenFamilies()
	use := regexp.MustCompile(`troupe_[a-z_]+(\{[^}]*\})?`)
	matcher := regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	for _, file := range []string{"deploy/monitoring/alerts.yaml", "deploy/monitoring/alerts_test.yaml", "deploy/monitoring/grafana-troupe.json", "docs/operations.md"} {
		text := strings.ReplaceAll(strings.ReplaceAll(readDoc(t, file), `\"`, `"`), `\|`, `|`)
		found := 0
		for _, m := range use.FindAllStringSubmatch(text, -1) {
			name, _, _ := strings.Cut(m[0], "{")
			f, known := families[strings.TrimSuffix(name, "_bucket")]
			require.True(t, known, "%s watches %s, which nobody exports", file, name)
			found++
			for _, l := range matcher.FindAllStringSubmatch(m[1], -1) {
				if slices.Contains([]string{"job", "instance", "le"}, l[1]) {
					continue
				}
				values, known := f.labels[l[1]]
				require.True(t, known, "%s selects %s by %s, a label that it does not have", file, name, l[1])
				if slices.Contains([]string{"provider", "version"}, l[1]) { // of a configuration, of a build
					continue
				}
				for value := range strings.SplitSeq(l[2], "|") {
					fits := func(v string) bool { return regexp.MustCompile("^" + value + "$").MatchString(v) }
					require.True(t, slices.ContainsFunc(values, fits), "%s selects %s by %s=%q, which it never is", file, name, l[1], value)
				}
			}
		}
		require.Greater(t, found, 10, file)
	}
}

// TestPrometheusExample: the example reads the alerts beside it, asks nobody but
// this machine, and is quick enough for the alerts.
func TestPrometheusExample(t *testing.T) {
	var c struct {
		Global struct {
			Scrape     string `yaml:"scrape_interval"`
			Evaluation string `yaml:"evaluation_interval"`
		}
		Rules  []string `yaml:"rule_files"`
		Scrape []struct {
			Job    string `yaml:"job_name"`
			Native bool   `yaml:"scrape_native_histograms"`
			Always bool   `yaml:"always_scrape_classic_histograms"`
			Static []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(readDoc(t, "deploy/monitoring/prometheus.yaml")), &c))
	for _, text := range []string{c.Global.Scrape, c.Global.Evaluation} {
		every, err := time.ParseDuration(text)
		require.NoError(t, err)
		require.LessOrEqual(t, every, 15*time.Second)
	}
	require.Len(t, c.Scrape, 1)
	require.Equal(t, "troupe", c.Scrape[0].Job, "the alerts say job")
	require.True(t, c.Scrape[0].Native && c.Scrape[0].Always)
	require.Equal(t, []string{"127.0.0.1:8000"}, c.Scrape[0].Static[0].Targets)
	for _, file := range c.Rules {
		_, err := os.Stat(repoRoot + "/deploy/monitoring/" + file)
		require.NoError(t, err)
	}
}

// TestEveryAlertIsExplained: the operators' page lists each alert, and no other.
func TestEveryAlertIsExplained(t *testing.T) {
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert string `yaml:"alert"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(readDoc(t, "deploy/monitoring/alerts.yaml")), &file))
	var alerts, explained []string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			alerts = append(alerts, r.Alert)
		}
	}
	for _, row := range docTable(t, "docs/operations.md", "Monitoring") {
		explained = append(explained, regexp.MustCompile(`\bTroupe\w+`).FindAllString(row[0], -1)...)
	}
	require.Greater(t, len(alerts), 20)
	require.ElementsMatch(t, alerts, explained)
}
