package chaos

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/cmd/troupe-load/scenario"
)

func TestEveryScenarioOfOursIsRight(t *testing.T) {
	tried := map[string]bool{}
	for _, name := range Names() {
		p, err := Load(name)
		require.NoError(t, err, name)
		require.Equal(t, name, p.Name)
		require.NotEmpty(t, p.About, name)
		tried[p.Fault] = true
		p.Shorten()
		require.NoError(t, p.check(), name)
	}
	for _, f := range faultIDs() {
		require.True(t, tried[f], "%s has no scenario", f)
	}
}

func faultIDs() (all []string) {
	for i := 1; i <= 25; i++ {
		all = append(all, "F"+strconv.Itoa(i))
	}
	return all
}

// TestTestsThatScenariosNameAreThere: a mark that a Go test carries is worth no more
// than that test.
func TestTestsThatScenariosNameAreThere(t *testing.T) {
	declared := testsOfTheRepository(t)
	for _, name := range Names() {
		p, err := Load(name)
		require.NoError(t, err)
		for _, test := range p.Tests {
			require.True(t, declared[test], "%s names %s, which no _test.go of the repository declares", name, test)
		}
		if p.Tests != nil {
			require.NotEmpty(t, p.Beside, "%s names tests and does not say in beside what they try", name)
		}
	}
}

// testsOfTheRepository are the names of its Go tests.
func testsOfTheRepository(t *testing.T) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	test := regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(t \*testing\.T\)`)
	for _, dir := range []string{"actors", "bus", "cmd", "config", "transport"} {
		err := filepath.WalkDir(filepath.Join("..", "..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "node_modules":
				return fs.SkipDir
			case !strings.HasSuffix(path, "_test.go"):
				return nil
			}
			text, err := os.ReadFile(path)
			for _, m := range test.FindAllSubmatch(text, -1) {
				declared[string(m[1])] = true
			}
			return err
		})
		require.NoError(t, err)
	}
	return declared
}

func TestMistakesNameTheKeyAndTheRemedy(t *testing.T) {
	const streams = "streams: [{count: 1}]\n"
	for text, want := range map[string]string{
		"stream: []":                        "line 1: stream: there is no such key; the nearest is streams",
		"length: 5":                         "is no duration; write it with a unit",
		"":                                  "streams: there are none",
		"streams: [{count: 1, modle: x}]":   "streams[0].modle: there is no such key; the nearest is streams[0].model",
		"streams: [{count: 0}]":             "streams[0].count: 0; at least 1",
		"streams: [{count: 1, model: gpt}]": `streams[0].model: "gpt" is no model whose answer can be told`,

		"streams: [{count: 1, model: stall-echo-5ms-9w}]":                "streams[0].broken: the model fails",
		"streams: [{count: 1, broken: true, model: sneeze-echo-5ms-9w}]": "fails in no way that there is",
		streams + "steps: [{at: 1s}]":                                    "steps[0]: has 0 verbs",
		streams + "steps: [{kill: serve, pause: serve, for: 1s}]":        "steps[0]: has 2 verbs",
		streams + "steps: [{kill: worker-1}]":                            `steps[0].kill: nothing that this scenario starts is called "worker-1"; there are serve`,
		streams + "steps: [{pause: serve}]":                              "steps[0].for: a pause needs an end",
		streams + "steps: [{inject: limiter sneeze}]":                    `steps[0].inject: "limiter sneeze": there is no fault "sneeze"`,
		streams + "steps: [{clients: rude}]":                             `steps[0].clients: "rude" is none of slow`,
		streams + "steps: [{kill: serve, touches: somebody}]":            `steps[0].touches: "somebody" is none of`,
		streams + "steps: [{kill: serve, touches: \"group:none\"}]":      `there is no group "none"`,
		streams + "start: moon":                                          `start: "moon" is neither serve nor fleet`,
		streams + "workers: 2":                                           "only a fleet has them",
		streams + "expect: {ends: [WORKER_LOTS]}":                        `expect.ends: "WORKER_LOTS" is neither complete nor cancelled nor a code`,
		streams + "expect: {metrics: [{name: troupe_x, step: 3}]}":       "expect.metrics[0]: needs a name, and a step",
		streams + "memory: 100MB":                                        `memory: "100MB" is no size; write it like 16KiB`,
		streams + "tests: [memory]":                                      `tests[0]: "memory" is not the name of a Go test`,
		streams + "expect: {clears_grace: 3s}":                           "expect.clears_grace: give config.runs.grace",
		streams + "expect: {figures: [{name: troupe_x}]}":                "expect.figures[0]: needs a name, and least or most",
		streams + "expect: {log: [{says: x}]}":                           "expect.log[0]: needs says, and least or most",
		streams + "expect: {retry_after: [OVERLODED]}":                   `expect.retry_after: "OVERLODED" is neither`,
		streams + "steps: [{kill: serve, not_ready: 1s}]":                "steps[0]: ends and not_ready are of terminate alone",
		streams + "steps: [{kill: serve, hits: 1}]":                      "steps[0].hits: only an injection hits",
		streams + "steps: [{kill: serve, recovers: true}]":               "steps[0]: memory and recovers are of clients alone",
		streams + "steps: [{clients: silent, memory: much}]":             `steps[0].memory: "much" is no size`,
		streams + "random: {every: 1s}":                                  "random.from: the list to draw from is empty",
		streams + "config: {\"HTTP LISTEN\": x}":                         "config.HTTP LISTEN: this is no key of troupe",

		streams + "steps: [{at: 1s, inject: limiter hang}]\nexpect: {metrics: [{name: troupe_x, within: 50ms}]}": "expect.metrics[0]: 50ms is finer than can be told",
	} {
		_, err := Parse("mine.yaml", []byte(text))
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "mine.yaml: ", text)
	}
}

func TestNamesMayBeShortened(t *testing.T) {
	p, err := Load("f01")
	require.NoError(t, err)
	require.Equal(t, "f01-kill-worker", p.Name)
	_, err = Load("nothing")
	require.ErrorContains(t, err, "--list` shows them")
	_, err = Load("./nothing.yaml")
	require.ErrorContains(t, err, "there is no such file")
}

func TestShortenKeepsProportions(t *testing.T) {
	p := &Plan{Streams: []Group{{Count: 900}, {Count: 100}, {Count: 1}}, Quick: Quick{Streams: 100}}
	p.Shorten()
	require.Equal(t, []int{89, 9, 1}, []int{p.Streams[0].Count, p.Streams[1].Count, p.Streams[2].Count})
}

func TestSpecs(t *testing.T) {
	s, err := ParseSpec("connection panic message=chunksArrived probability=0.01 for=1m seed=7 after=3 every=2 times=9 delay=20ms")
	require.NoError(t, err)
	require.Equal(t, Spec{Actor: "connection", Fault: "panic", Message: "chunksArrived", For: "1m", Probability: 0.01, Seed: 7, After: 3, Every: 2, Times: 9, Delay: "20ms"}, s)
	for text, want := range map[string]string{
		"limiter":                    "write an actor and a fault",
		"moon panic":                 `there is no actor "moon"`,
		"limiter hang for=x":         "for=x cannot be read",
		"limiter hang probability=2": "is not above 0 and at most 1",
		"limiter hang colour=red":    `there is no key "colour"`,
	} {
		_, err := ParseSpec(text)
		require.ErrorContains(t, err, want)
	}
}

// TestLastMovesWhatGoesOn: a scenario that is played for longer is broken for longer,
// too.
func TestLastMovesWhatGoesOn(t *testing.T) {
	for length, until := range map[time.Duration]time.Duration{
		5 * time.Minute: 295 * time.Second, 70 * time.Second: 65 * time.Second, 20 * time.Second: 15 * time.Second, 4 * time.Second: 3 * time.Second,
	} {
		p := &Plan{Length: scenario.Duration(70 * time.Second), Steps: []Step{
			{At: scenario.Duration(3 * time.Second), Every: scenario.Duration(2 * time.Second), Until: scenario.Duration(65 * time.Second)}, {At: scenario.Duration(time.Second)},
		}}
		p.Last(length)
		require.Equal(t, length, since(p.Length))
		require.Equal(t, until, since(p.Steps[0].Until))
		require.Zero(t, p.Steps[1].Until)
	}
}
