package actors

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/troupe-chat/troupe/bus"
)

// usageKept bounds the usage records that wait for the bus.
const usageKept = 10_000

// ending is what is known of a run when it ends.
type ending struct {
	event  *bus.Event // its terminal; Usage is set
	keyID  string     // fingerprint of the deployment's key that was used
	chunks uint64
	log    zerolog.Logger
}

// settleRun writes a run's one line, counts it and says what it cost. Every
// accepted run comes here exactly once, whatever its end was.
func (w *Worker) settleRun(r *runRecord, end ending) {
	if r.settled { // it crashed while it told its end
		return
	}
	r.settled = true
	e, job, m := end.event, r.job, w.metrics
	if e.Type == bus.EventError {
		w.served[job.Provider].jobs.failed.Add(1)
	}
	r.trace.end(e, end.chunks, r.raw)
	took := time.Since(r.begun)
	m.runs.WithLabelValues(job.Provider, e.Type).Inc()
	line := end.log.Info().Str("outcome", e.Type).Str("provider", cmp.Or(e.Provider, job.Provider)).
		Uint64("chunks", end.chunks).Int("bytes", r.raw).Int("attempts", e.Attempts).Dur("took", took).
		Str("key", keyKind(job, end.keyID))
	for _, more := range [][2]string{
		{"code", e.Code}, {"model", servedModel(end)}, {"product", job.Product}, {"key_id", end.keyID},
	} {
		if more[1] != "" {
			line = line.Str(more[0], more[1])
		}
	}
	m.countTokens(cmp.Or(e.Provider, job.Provider), e.Usage)
	line.Int("input_tokens", e.Usage.InputTokens).Int("output_tokens", e.Usage.OutputTokens).
		Bool("estimated", e.Usage.Estimated).Msg("Run ended")
	w.usage.say(w.bus, w.record(r, end, took))
}

// record is the bill of one run.
func (w *Worker) record(r *runRecord, end ending, took time.Duration) *bus.UsageRecord {
	e, job := end.event, r.job
	u := &bus.UsageRecord{
		Version: 1, Time: time.Now().UTC(), RunHash: RunHash(r.id), Worker: w.id, Gateway: job.Gateway,
		Session: job.Session, Name: job.Name, Product: job.Product,
		Provider: cmp.Or(e.Provider, job.Provider), Model: servedModel(end),
		Key: keyKind(job, end.keyID), KeyID: end.keyID, Outcome: e.Type, Code: e.Code, Finish: e.Finish,
		InputTokens: e.Usage.InputTokens, OutputTokens: e.Usage.OutputTokens, Estimated: e.Usage.Estimated,
		Attempts: e.Attempts, OutputBytes: r.raw, Millis: took.Milliseconds(),
	}
	if u.Provider != job.Provider {
		u.Asked = job.Provider
	}
	if e.Type != bus.EventComplete {
		u.Finish = ""
	}
	return u
}

// servedModel is the model that answered. One that nobody answered for is only
// what somebody wrote, which may be anything, a key in the wrong field too.
func servedModel(end ending) string {
	if end.event.Type != bus.EventComplete && end.chunks == 0 {
		return ""
	}
	return logLabel(end.event.Model)
}

// RunHash names a run in its usage record: who knows the run_id finds the
// record, who reads records cannot resume runs.
func RunHash(run string) string {
	sum := sha256.Sum256([]byte(run))
	return hex.EncodeToString(sum[:16])
}

// keyKind says whose key paid.
func keyKind(job *bus.Job, keyID string) string {
	switch {
	case job.NeedsKey:
		return "user"
	case keyID != "":
		return "deployment"
	}
	return "none"
}

// usageLog says usage records, and keeps those that the bus did not take until
// it is back, oldest out. The run's log line remains in any case. Safe for
// concurrent use; the zero value is ready.
type usageLog struct {
	mu   sync.Mutex
	kept []*bus.UsageRecord
	lost int // since they were last counted
}

// say publishes a record, behind those that wait.
func (u *usageLog) say(to Work, r *bus.UsageRecord) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.kept) == 0 && to.Usage(r) == nil {
		return
	}
	if len(u.kept) == usageKept {
		u.kept = u.kept[1:]
		u.lost++
	}
	u.kept = append(u.kept, r)
}

// flush says what waits, as far as the bus takes it, and tells how many records
// were lost for want of room since the last time.
func (u *usageLog) flush(to Work) (lost int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.kept) > 0 && to.Usage(u.kept[0]) == nil {
		u.kept = u.kept[1:]
	}
	if len(u.kept) == 0 {
		u.kept = nil
	}
	lost, u.lost = u.lost, 0
	return lost
}
