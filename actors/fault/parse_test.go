package fault

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shelf is a catalogue for tests.
func shelf() Catalogue {
	inside := []string{Panic, Hang, Delay}
	all := []string{Panic, Hang, Delay, Drop, Repeat, Reorder}
	return Catalogue{
		"limiter": {{"Started", inside}, {"decide", append([]string{Error}, all...)}},
		"run":     {{"Started", inside}, {"piece", all}},
		"bus":     {{"in.event.chunk", []string{Drop, Repeat}}, {"in.event.error", []string{Drop}}, {"out.job", []string{Drop, Error}}},
	}
}

func TestParse(t *testing.T) {
	for line, want := range map[string]Spec{
		"run panic":                       {Actor: "run", Fault: Panic},
		"  run   hang\tfor=1h ":           {Actor: "run", Fault: Hang, For: time.Hour},
		"bus drop message=in.event.chunk": {Actor: "bus", Fault: Drop, Message: "in.event.chunk"},
		"run delay delay=200ms message=piece probability=0.01 for=1m after=3 every=2 times=5 seed=7": {
			Actor: "run", Fault: Delay, Message: "piece", For: time.Minute, Probability: 0.01, After: 3, Every: 2, Times: 5,
			Delay: 200 * time.Millisecond, Seed: 7,
		},
	} {
		got, err := Parse(line)
		require.NoError(t, err, line)
		require.Equal(t, want, got, line)
		again, err := Parse(got.String())
		require.NoError(t, err, got.String())
		require.Equal(t, got, again)
	}
	require.Equal(t, "run delay message=piece for=1h probability=0.5 delay=1m seed=7",
		Spec{Actor: "run", Fault: Delay, Message: "piece", For: time.Hour, Probability: 0.5, Every: 1, Delay: time.Minute, Seed: 7}.String())
}

// TestParseRefuses: each error names the field, the value and what is allowed.
func TestParseRefuses(t *testing.T) {
	for line, words := range map[string][]string{
		"":                                {"key=value"},
		"run":                             {`"run"`, "<actor> <fault>"},
		"run panic=1":                     {"<actor> <fault>"},
		"run explode":                     {"fault", `"explode"`, "reorder"},
		"run panic for":                   {`"for"`, "key=value"},
		"run panic for=1s for=2s":         {`"for"`, "twice"},
		"run panic color=red":             {`"color"`, "probability"},
		"run panic for=2h":                {"for", `"2h"`, "1h"},
		"run panic for=0s":                {"for", `"0s"`},
		"run panic for=soon":              {"for", `"soon"`, "10s"},
		"run panic message=":              {"message", `""`},
		"run panic probability=0":         {"probability", `"0"`, "above 0"},
		"run panic probability=NaN":       {"probability", `"NaN"`},
		"run panic probability=1.01":      {"probability", `"1.01"`},
		"run panic after=-1":              {"after", `"-1"`, "from 0"},
		"run panic every=0":               {"every", `"0"`, "from 1"},
		"run panic times=x":               {"times", `"x"`},
		"run panic times=1000000001":      {"times", "1000000000"},
		"run panic delay=1s":              {"delay", "panic", "leave it out"},
		"run delay delay=61s":             {"delay", `"61s"`, "1m,"},
		"run panic seed=-1":               {"seed", `"-1"`},
		"run " + strings.Repeat("x", 500): {"fault", "x…"},
	} {
		_, err := Parse(line)
		require.Error(t, err, line)
		for _, word := range words {
			require.ErrorContains(t, err, word, line)
		}
		require.Less(t, len(err.Error()), 400, line)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestParseJSON(t *testing.T) {
	s, err := ParseJSON([]byte(`{"delay":"1s","actor":"run","fault":"delay","message":"piece","for":"20s","probability":0.5,"after":0,"every":2,"times":null,"seed":9}`))
	require.NoError(t, err)
	require.Equal(t, Spec{
		Actor: "run", Fault: Delay, Message: "piece", For: 20 * time.Second, Probability: 0.5, Every: 2, Delay: time.Second, Seed: 9,
	}, s)
	s, err = ParseJSON([]byte(`{"fault":"delay","delay":"200ms","actor":"limiter"}`))
	require.NoError(t, err, "members have no order")
	require.Equal(t, Spec{Actor: "limiter", Fault: Delay, Delay: 200 * time.Millisecond}, s)
	for body, words := range map[string][]string{
		``:                                      {"JSON object"},
		`[]`:                                    {"JSON object"},
		`{"actor":"run"`:                        {"JSON object"},
		`{"actor":"run","fault":"panic"} {}`:    {"JSON object"},
		`{"actor":"run","actor":"run"}`:         {`"actor"`, "twice"},
		`{"fault":"panic"}`:                     {"actor", "missing"},
		`{"actor":"run"}`:                       {"fault", `""`},
		`{"actor":"run","fault":"panic","x":1}`: {`"x"`, "use actor"},
		`{"actor":"run","fault":"panic","x":null}`:           {`"x"`, "use actor"},
		`{"actor":7,"fault":"panic"}`:                        {"actor", `"7"`, "text"},
		`{"actor":"run","fault":"panic","for":10}`:           {"for", `"10"`, "text"},
		`{"actor":"run","fault":"panic","every":"2"}`:        {"every", "without quotes"},
		`{"actor":"run","fault":"panic","after":1.5}`:        {"after", `"1.5"`},
		`{"actor":"run","fault":"panic","probability":true}`: {"probability", `"true"`},
		`{"delay":"1s","actor":"run","fault":"panic"}`:       {"delay", "leave it out"},
	} {
		_, err := ParseJSON([]byte(body))
		require.Error(t, err, body)
		for _, word := range words {
			require.ErrorContains(t, err, word, body)
		}
	}
}

func TestCheck(t *testing.T) {
	s := Spec{Actor: "run", Fault: Delay}
	require.NoError(t, shelf().Check(&s))
	require.Equal(t, Spec{Actor: "run", Fault: Delay, For: 10 * time.Second, Probability: 1, Every: 1, Delay: 100 * time.Millisecond}, s)
	s = Spec{Actor: "run", Fault: Reorder}
	require.NoError(t, shelf().Check(&s))
	require.Equal(t, 50*time.Millisecond, s.Delay)
	for _, tt := range []struct {
		s     Spec
		words []string
	}{
		{Spec{Actor: "cook", Fault: Panic}, []string{"actor", `"cook"`, "bus, limiter or run"}},
		{Spec{Actor: "run", Fault: Panic, Message: "soup"}, []string{"message", `"soup"`, "Started or piece"}},
		{Spec{Actor: "bus", Fault: Drop, Message: "in.even"}, []string{"message", `"in.even"`, "in.event.chunk"}},
		{Spec{Actor: "run", Fault: Drop, Message: "Started"}, []string{"drop cannot strike Started", "panic, hang or delay", "can strike piece"}},
		{Spec{Actor: "run", Fault: Error}, []string{"error means nothing for run", "limiter (decide)", "bus (out.job)", "for run use panic"}},
		{Spec{Actor: "bus", Fault: Error, Message: "in.event"}, []string{"error cannot strike in.event", "can strike out.job"}},
	} {
		err := shelf().Check(&tt.s)
		require.Error(t, err, tt.s.String())
		for _, word := range tt.words {
			require.ErrorContains(t, err, word)
		}
	}
}

func TestCatalogueLists(t *testing.T) {
	require.Equal(t, []string{"Started", "piece"}, shelf().Names()["run"])
	var pairs []string
	shelf().Pairs(func(actor, f string) { pairs = append(pairs, actor+" "+f) })
	require.Contains(t, pairs, "limiter error")
	require.NotContains(t, pairs, "run error")
	require.Len(t, pairs, 3+7+6)
	require.Equal(t, []string{"in.event.chunk", "in.event.error"}, shelf().struck("bus", Drop, "in.event"))
	require.Equal(t, []string{"in.event.chunk"}, shelf().struck("bus", Repeat, "in"))
}

// FuzzParse: whatever is taken says itself again, in both spellings.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"run panic", "connection panic message=chunksArrived probability=0.01 for=1m seed=7", "bus reorder delay=1s every=3 times=9 after=2", "run drop x=1",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, err := Parse(line)
		if err != nil {
			require.LessOrEqual(t, len(err.Error()), 1000)
			return
		}
		again, err := Parse(s.String())
		require.NoError(t, err, s.String())
		if s.Every == 1 { // the default is not said
			s.Every = 0
		}
		require.Equal(t, s, again)

		fields := map[string]any{}
		for _, word := range strings.Fields(s.String())[2:] {
			key, value, _ := strings.Cut(word, "=")
			fields[key] = json.Number(value)
			if key == keyMessage || key == keyFor || key == keyDelay {
				fields[key] = strings.ToValidUTF8(value, "?")
			}
		}
		fields[keyActor], fields[keyFault] = strings.ToValidUTF8(s.Actor, "?"), s.Fault
		body, err := json.Marshal(fields)
		require.NoError(t, err)
		same, err := ParseJSON(body)
		require.NoError(t, err, string(body))
		same.Actor, same.Message = s.Actor, s.Message
		require.Equal(t, s, same)
	})
}

// FuzzParseJSON never panics, and what it takes is within bounds.
func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`{"actor":"run","fault":"panic","for":"1s","probability":0.5,"seed":7}`))
	f.Add([]byte(`{"actor":"run","actor":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := ParseJSON(body)
		if err != nil {
			return
		}
		require.LessOrEqual(t, s.For, maxFor, fmt.Sprint(s))
		require.LessOrEqual(t, s.Delay, maxDelay)
		require.LessOrEqual(t, s.Probability, 1.0)
		require.Contains(t, Faults(), s.Fault)
		_ = shelf().Check(&s)
	})
}
