package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

func readDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "load.md"))
	require.NoError(t, err)
	return string(text)
}

// section is what stands under one heading.
func section(t *testing.T, doc, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(doc, "\n## "+heading+"\n")
	require.True(t, ok, heading)
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// firstCells are the names in the first column of the tables of a text.
func firstCells(text string) (names []string) {
	name := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(text) {
		if cell, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.HasPrefix(line, "| `") {
			for _, m := range name.FindAllStringSubmatch(cell, -1) {
				names = append(names, m[1])
			}
		}
	}
	return names
}

func TestEveryKeyIsDocumented(t *testing.T) {
	told := firstCells(section(t, readDoc(t), "Every key"))
	slices.Sort(told)
	require.Equal(t, scenario.Keys(), told)
}

func TestScenariosAndLatenciesAreDocumented(t *testing.T) {
	doc := readDoc(t)
	require.Equal(t, scenario.Names(), firstCells(section(t, doc, "Scenarios")))
	told := firstCells(section(t, doc, "Reading a report"))
	for _, name := range scenario.Latencies() {
		require.Contains(t, told, name)
	}
	for _, rate := range scenario.Rates() {
		require.Contains(t, section(t, doc, "Every key"), "`"+rate+"`")
	}
}

func TestExamplesOfTheDocumentationAreRight(t *testing.T) {
	doc := readDoc(t)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(doc, -1)
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		_, err := scenario.Parse("docs/load.md", []byte(b[1]))
		require.NoError(t, err)
	}
	for _, m := range regexp.MustCompile(`--([a-z_]+(?:\.[a-z0-9_]+)*)=`).FindAllStringSubmatch(section(t, doc, "Quick start"), -1) {
		if strings.HasPrefix(m[1], "limits.") || strings.HasPrefix(m[1], "pool.") {
			continue // the server's
		}
		found, _, err := splitOverrides([]string{"run", "--" + m[1] + "=1"})
		require.NoError(t, err)
		require.Len(t, found, 1, m[1])
	}
}

func TestDefaultsAreAsDocumented(t *testing.T) {
	table := section(t, readDoc(t), "Every key")
	d := scenario.Default()
	for key, value := range map[string]string{
		"`abort.after`": d.Abort.After.String(), "`reconnect.back`": d.Reconnect.Back.String(), "`questions.spread`": d.Questions.Spread.String(),
		"`questions.words`": d.Questions.Words.String(), "`questions.think`": d.Questions.Think.String(),
	} {
		row := table[strings.Index(table, "| "+key):]
		row, _, _ = strings.Cut(row, "\n")
		require.Equal(t, value, strings.Trim(strings.Split(row, " | ")[1], "`"), key)
	}
}
