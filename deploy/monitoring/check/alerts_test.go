package check

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/template"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// suite is alerts_test.yaml, as far as promtool's format is used there.
type suite struct {
	Rules []string       `yaml:"rule_files"`
	Step  model.Duration `yaml:"evaluation_interval"`
	Tests []struct {
		Interval model.Duration `yaml:"interval"`
		Series   []struct {
			Series string `yaml:"series"`
			Values string `yaml:"values"`
		} `yaml:"input_series"`
		Alerts []struct {
			At   model.Duration `yaml:"eval_time"`
			Name string         `yaml:"alertname"`
			Want []alert        `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	} `yaml:"tests"`
}

type alert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

func promQL() parser.Parser { return parser.NewParser(parser.Options{}) }

// alertRules reads the rules as a Prometheus does at its start.
func alertRules(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile("../alerts.yaml", false, model.UTF8Validation, promQL(), slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	rules := map[string]rulefmt.Rule{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			require.NotContains(t, rules, r.Alert)
			rules[r.Alert] = r
		}
	}
	return rules
}

// TestAlertsFireWhenTheyShould plays alerts_test.yaml: each alert is silent at one
// moment and fires at another, under the labels and with the words written there.
func TestAlertsFireWhenTheyShould(t *testing.T) {
	rules := alertRules(t)
	text, err := os.ReadFile("../alerts_test.yaml")
	require.NoError(t, err)
	var s suite
	require.NoError(t, yaml.Unmarshal(text, &s))
	require.Equal(t, []string{"alerts.yaml"}, s.Rules)
	silent, fired := map[string]bool{}, map[string]bool{}
	for _, test := range s.Tests {
		var m memory
		for _, in := range test.Series {
			m.add(t, in.Series+" "+in.Values, time.Duration(test.Interval))
		}
		for _, a := range test.Alerts {
			t.Run(a.Name+" after "+a.At.String(), func(t *testing.T) {
				rule, known := rules[a.Name]
				require.True(t, known, "no such alert")
				got := firing(t, m, rule, time.Duration(s.Step), time.Duration(a.At))
				require.ElementsMatch(t, a.Want, got)
			})
			silent[a.Name] = silent[a.Name] || len(a.Want) == 0
			fired[a.Name] = fired[a.Name] || len(a.Want) > 0
		}
	}
	for name := range rules {
		require.True(t, silent[name] && fired[name], "alerts_test.yaml does not say when %s is silent and when it fires", name)
	}
}

// firing evaluates one rule step by step up to a moment, as a Prometheus would,
// and returns what fires then.
func firing(t *testing.T, m memory, rule rulefmt.Rule, step, at time.Duration) (out []alert) {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: promQL()})
	since := map[uint64]time.Duration{}
	for now := time.Duration(0); now <= at; now += step {
		query, err := engine.NewInstantQuery(t.Context(), m, nil, rule.Expr, time.Unix(0, 0).Add(now))
		require.NoError(t, err)
		result := query.Exec(t.Context())
		require.NoError(t, result.Err)
		vector, err := result.Vector()
		require.NoError(t, err)
		held := map[uint64]time.Duration{}
		out = nil
		for _, sample := range vector {
			key := sample.Metric.Hash()
			begun, active := since[key]
			if !active {
				begun = now
			}
			held[key] = begun
			if now-begun >= time.Duration(rule.For) {
				out = append(out, worded(t, rule, sample, now))
			}
		}
		since = held
		query.Close()
	}
	return out
}

// worded is an alert with the labels and the annotations that people read.
func worded(t *testing.T, rule rulefmt.Rule, sample promql.Sample, now time.Duration) alert {
	t.Helper()
	a := alert{Labels: map[string]string{}, Annotations: map[string]string{}}
	sample.Metric.Range(func(l labels.Label) {
		if l.Name != labels.MetricName {
			a.Labels[l.Name] = l.Value
		}
	})
	data := template.AlertTemplateData(a.Labels, nil, "", promql.Sample{F: sample.F})
	for name, text := range rule.Annotations {
		text = "{{$labels := .Labels}}{{$value := .Value}}" + text
		expander := template.NewTemplateExpander(t.Context(), text, name, data, model.Time(now.Milliseconds()), nothing, nil, nil)
		var err error
		a.Annotations[name], err = expander.Expand()
		require.NoError(t, err)
	}
	for name, value := range rule.Labels {
		a.Labels[name] = value
	}
	return a
}

// nothing answers queries inside annotations: there are none.
func nothing(context.Context, string, time.Time) (promql.Vector, error) { return nil, nil }

// TestAlertsSayWhatToDo: each has a severity, what is so, and a remedy.
func TestAlertsSayWhatToDo(t *testing.T) {
	for name, rule := range alertRules(t) {
		require.Contains(t, []string{"page", "ticket"}, rule.Labels["severity"], name)
		require.NotEmpty(t, rule.Annotations["summary"], name)
		require.NotEmpty(t, rule.Annotations["remedy"], name)
	}
}

// add takes a series in promtool's notation: name{labels} 0+1x10.
func (m *memory) add(t *testing.T, text string, every time.Duration) {
	t.Helper()
	name, values, err := promQL().ParseSeriesDesc(text)
	require.NoError(t, err, text)
	s := series{labels: name}
	for i, v := range values {
		if !v.Omitted {
			s.points = append(s.points, point{at: int64(i) * every.Milliseconds(), value: v.Value})
		}
	}
	*m = append(*m, s)
	slices.SortFunc(*m, func(a, b series) int { return cmp.Compare(a.labels.String(), b.labels.String()) })
}

// String is for messages of failed tests.
func (p point) String() string {
	return fmt.Sprintf("%dms %s", p.at, strconv.FormatFloat(p.value, 'g', -1, 64))
}
