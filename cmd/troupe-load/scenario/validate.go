package scenario

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/troupe-chat/troupe/cmd/troupe-load/report"
)

// Bounds that keep a typing mistake from becoming a flood.
const (
	mostConnections = 1_000_000
	mostRate        = 1_000_000
	mostWords       = 100_000
)

// Validate checks the values, one by one and together.
func (s *Scenario) Validate() error {
	c := &checker{}
	c.oneOf("mode", s.Mode, ModeTroupe, ModeGeneric)
	c.number("connections", float64(s.Connections), 1, mostConnections)
	c.number("ramp", s.Ramp, 0, mostRate)
	c.that(s.Duration > 0, "duration", "0s", "give how long to measure, like 30s")
	c.sources(s.SourceAddresses)
	c.questions(s)
	c.users(s)
	c.reconnect(s)
	c.timeouts(&s.Timeouts)
	c.checks(&s.Checks)
	c.generic(s)
	return errors.Join(c.errs...)
}

// checker collects what is wrong with values.
type checker struct{ errs []error }

func (c *checker) that(ok bool, key string, value any, help string) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf("%s: %v: %s", key, value, help))
	}
}

func (c *checker) number(key string, v, low, high float64) {
	c.that(v >= low && v <= high, key, v, fmt.Sprintf("give a number from %.0f to %.0f", low, high))
}

func (c *checker) oneOf(key, value string, choices ...string) {
	c.that(slices.Contains(choices, value), key, fmt.Sprintf("%q", value), "give one of "+strings.Join(choices, ", "))
}

func (c *checker) sources(list []string) {
	if _, err := Sources(list); err != nil {
		c.errs = append(c.errs, err)
	}
}

func (c *checker) questions(s *Scenario) {
	q := &s.Questions
	c.oneOf("questions.arrival", q.Arrival, ArrivalNone, ArrivalOnce, ArrivalClosed, ArrivalPoisson, ArrivalConstant)
	c.number("questions.rate", q.Rate, 0, mostRate)
	c.that(!q.Open() || q.Rate > 0, "questions.rate", q.Rate, "arrival "+q.Arrival+" needs how many questions a second")
	c.that(q.Rate == 0 || q.Open(), "questions.rate", q.Rate, "only arrival poisson and constant have a rate; arrival "+q.Arrival+" follows the answers")
	c.number("questions.per_connection", float64(q.PerConnection), 1, 256)
	c.that(q.PerConnection == 1 || q.Named || s.Generic != nil && s.Generic.ID != "", "questions.per_connection", q.PerConnection,
		"several questions at one time need questions.named, or generic.id, to be told apart")
	c.that(q.PerConnection == 1 || q.Open(), "questions.per_connection", q.PerConnection, "only arrival poisson and constant ask several at one time")
	c.number("questions.words (largest)", q.Words.b, 0, mostWords)
	c.number("questions.max_tokens", float64(q.MaxTokens), 0, 1e9)
	c.that(s.Mode == ModeTroupe || !q.Named, "questions.named", true, "mode generic takes names from generic.send and generic.id")
}

func (c *checker) users(s *Scenario) {
	c.number("abort.probability", s.Abort.Probability, 0, 1)
	c.oneOf("abort.how", s.Abort.How, HowCancel, HowReset, HowClose)
	c.that(s.Mode == ModeTroupe || s.Abort.Probability == 0 || s.Abort.How != HowCancel, "abort.how", s.Abort.How,
		"mode generic knows no cancel; give reset or close")
	c.number("slow_readers.share", s.SlowReaders.Share, 0, 1)
	c.number("slow_readers.rate", float64(s.SlowReaders.Rate), 1, 1e9)
	c.number("slow_readers.receive_buffer", float64(s.SlowReaders.ReceiveBuffer), 0, 1e9)
	c.number("visits.rate", s.Visits.Rate, 0, mostRate)
	c.number("visits.questions", float64(s.Visits.Questions), 0, 1e6)
	c.that(s.Visits.Rate == 0 || s.Questions.Arrival == ArrivalClosed || s.Questions.Arrival == ArrivalNone, "questions.arrival", s.Questions.Arrival,
		"visitors ask by themselves, visits.questions each; give closed, or none")
}

func (c *checker) reconnect(s *Scenario) {
	r := &s.Reconnect
	c.number("reconnect.share", r.Share, 0, 1)
	c.oneOf("reconnect.how", r.How, HowReset, HowClose)
	c.that(!r.Resume || s.Mode == ModeTroupe, "reconnect.resume", true, "only mode troupe can resume")
	c.that(s.Visits.Rate == 0 || len(r.DropAt) == 0, "reconnect.drop_at", len(r.DropAt), "visitors do not come back; leave out visits.rate or drop_at")
	for _, at := range r.DropAt {
		c.that(at < s.WarmUp+s.Duration, "reconnect.drop_at", at, "is after the end; the load takes "+(s.WarmUp+s.Duration).String())
	}
}

// timeouts may all be short, but only what is under way at the end may get none.
func (c *checker) timeouts(t *Timeouts) {
	c.that(t.Handshake > 0, "timeouts.handshake", t.Handshake, "no connection could come to be; give one above 0s, like 10s")
	c.that(t.Answer > 0, "timeouts.answer", t.Answer, "no question could be answered; give one above 0s, like 1m")
}

func (c *checker) checks(k *Checks) {
	if k.MaxErrors != nil {
		c.number("checks.max_errors", float64(*k.MaxErrors), 0, 1e12)
	}
	for name, marks := range map[string]map[string]Duration{"p50": k.P50, "p90": k.P90, "p99": k.P99, "p999": k.P999, "max": k.Max} {
		for latency := range marks {
			c.oneOf("checks."+name, latency, Latencies()...)
		}
	}
	for what := range k.AtLeast {
		c.oneOf("checks.at_least", what, Rates()...)
	}
}

func (c *checker) generic(s *Scenario) {
	g := s.Generic
	if s.Mode != ModeGeneric {
		c.that(g == nil, "generic", "is there", "it belongs to mode: generic")
		return
	}
	if g == nil {
		c.that(s.Questions.Arrival == ArrivalNone, "generic", "is missing", "mode generic needs generic.send, generic.chunk and generic.end")
		return
	}
	c.that(g.Send != "" || s.Questions.Arrival == ArrivalNone, "generic.send", `""`, `give the message that asks, like '{"prompt": "{{content}}"}'`)
	c.that(!g.Chunk.Empty() || !g.End.Empty(), "generic.chunk", "is missing", "tell how a chunk or an end is recognised")
	c.that(!g.End.Empty(), "generic.end", "is missing", "tell how the last message of an answer is recognised")
	for key, m := range map[string]Match{"chunk": g.Chunk, "end": g.End, "error": g.Error} {
		c.that(m.Field != "" || m.Equals == "", "generic."+key+".equals", m.Equals, "needs the field that it compares")
		if _, err := regexp.Compile(m.Matches); err != nil {
			c.that(false, "generic."+key+".matches", m.Matches, err.Error())
		}
	}
}

// Latencies are the names that checks may use.
func Latencies() []string {
	return []string{
		report.LatencyHandshake, report.LatencyFirst, report.LatencyGap, report.LatencyAnswer,
		report.LatencyDelay, report.LatencyResume, report.LatencyCancel,
	}
}

// Rates are the names that checks.at_least may use.
func Rates() []string { return []string{"questions", "completed", "frames", "chunks", "connections"} }
