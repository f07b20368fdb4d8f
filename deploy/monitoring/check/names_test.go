package check

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

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
	families := exported(t)
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
				require.True(t, ours || regexp.MustCompile(`^(up$|go_|process_)`).MatchString(name), "%s asks for %s, which nobody exports", where, name)
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
