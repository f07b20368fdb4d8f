package check

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// exported are the families with their labels, as docs/protocol.md lists them; a
// test of the server holds that list against what it exports.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/protocol.md")
	require.NoError(t, err)
	families := map[string][]string{}
	quoted := regexp.MustCompile("`(\\w+)`")
	for _, m := range regexp.MustCompile("(?m)^\\| `(troupe_\\w+)` \\|([^|]*)\\|").FindAllStringSubmatch(string(page), -1) {
		names := []string{}
		for _, l := range quoted.FindAllStringSubmatch(m[2], -1) {
			names = append(names, l[1])
		}
		families[m[1]] = names
	}
	require.Greater(t, len(families), 35)
	return families
}

// runtimes are the series of the Go runtime and of the process, which the server
// exports beside its own, from the same collectors. Neither has a label that a
// query may ask for.
func runtimes(t *testing.T) map[string]bool {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	families, err := registry.Gather()
	require.NoError(t, err)
	series := map[string]bool{}
	for _, f := range families {
		series[f.GetName()] = true
		if m := f.GetMetric()[0]; m.GetSummary() != nil || m.GetHistogram() != nil {
			series[f.GetName()+"_sum"], series[f.GetName()+"_count"] = true, true
		}
	}
	require.Greater(t, len(series), 30)
	return series
}

// strange reports whether nobody exports a series: the server's own have names
// in families, up is the scrape's.
func strange(name string, families map[string][]string, runtimes map[string]bool) bool {
	return families[strings.TrimSuffix(name, "_bucket")] == nil && !runtimes[name] && name != "up"
}

// TestMisspeltNamesAreStrange, also those that begin as the runtime's do.
func TestMisspeltNamesAreStrange(t *testing.T) {
	families, others := exported(t), runtimes(t)
	for name, want := range map[string]bool{
		"up": false, "upp": true,
		"troupe_pool_slots": false, "troupe_pool_slot": true, "troupe_chunk_gap_seconds_bucket": false,
		"go_goroutines": false, "go_goroutine": true, "go_gc_duration_seconds_sum": false, "go_goroutines_sum": true,
		"process_open_fds": false, "process_open_fd": true, "process_resident_memory_bytes": false, "process_cpu_seconds": true,
	} {
		require.Equal(t, want, strange(name, families, others), name)
	}
}

// queries are all expressions of a file by where they stand in it.
func queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, rule := range alertRules(t) {
		all["alert "+name] = rule.Expr
	}
	text, err := os.ReadFile("../grafana-troupe.json")
	require.NoError(t, err)
	type target struct{ Expr string }
	var board struct {
		Panels []struct {
			Title   string
			Targets []target
		}
		Annotations struct {
			List []struct{ Name, Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &board))
	fill := strings.NewReplacer("$__rate_interval", "1m", "$job", "troupe", "$instance", ".*")
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			all["panel "+p.Title+": "+q.Expr] = fill.Replace(q.Expr)
		}
	}
	for _, a := range board.Annotations.List {
		all["annotation "+a.Name] = fill.Replace(a.Expr)
	}
	require.Greater(t, len(all), 60)
	return all
}

// TestQueriesAskForWhatIsExported: every query parses, every family of ours in it
// is exported, and so is every label that selects, groups or matches.
func TestQueriesAskForWhatIsExported(t *testing.T) {
	families, others := exported(t), runtimes(t)
	asked := map[string]bool{}
	for where, query := range queries(t) {
		expr, err := promQL().ParseExpr(query)
		require.NoError(t, err, where)
		known := []string{"job", "instance", "le"} // of the scrape, and of buckets
		var used []string
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			switch n := node.(type) {
			case *parser.VectorSelector:
				name := strings.TrimSuffix(n.Name, "_bucket")
				own, ours := families[name]
				require.False(t, strange(n.Name, families, others), "%s asks for %s, which nobody exports", where, n.Name)
				asked[name] = true
				known = append(known, own...)
				for _, m := range n.LabelMatchers {
					if m.Name == labels.MetricName || !ours {
						continue
					}
					require.Contains(t, append([]string{"job", "instance"}, own...), m.Name, "%s: a label of %s", where, name)
				}
			case *parser.AggregateExpr:
				used = append(used, n.Grouping...)
			case *parser.BinaryExpr:
				if n.VectorMatching != nil {
					used = append(used, n.VectorMatching.MatchingLabels...)
				}
			}
			return nil
		})
		for _, label := range used {
			require.True(t, slices.Contains(known, label), "%s groups by %s, which nothing in it has", where, label)
		}
	}
	for name := range families {
		require.True(t, asked[name], "no panel and no alert shows %s", name)
	}
}

// TestDashboardLetsOneChoose: a data source, jobs and instances are variables, and
// every panel obeys them.
func TestDashboardLetsOneChoose(t *testing.T) {
	text, err := os.ReadFile("../grafana-troupe.json")
	require.NoError(t, err)
	type source struct{ UID string }
	var board struct {
		Templating struct{ List []struct{ Name string } }
		Panels     []struct {
			ID                       int
			Type, Title, Description string
			Datasource               source
			GridPos                  struct{ X, Y, W, H int }
			Targets                  []struct {
				Datasource source
				Expr       string
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &board))
	var names []string
	for _, v := range board.Templating.List {
		names = append(names, v.Name)
	}
	require.Equal(t, []string{"datasource", "job", "instance"}, names)
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range board.Panels {
		require.False(t, ids[p.ID], "two panels have the number %d", p.ID)
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			require.Less(t, x, 24, p.Title)
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, cells[[2]int{x, y}], "%s lies over another panel", p.Title)
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		require.NotEmpty(t, p.Description, p.Title)
		require.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, q := range p.Targets {
			require.Equal(t, "${datasource}", q.Datasource.UID, p.Title)
			require.Contains(t, q.Expr, `job=~"$job",instance=~"$instance"`, p.Title)
		}
	}
}
