package bus

import (
	"encoding/json"
	"time"
)

// Job is one question on its way to a worker, published to the queue group of
// its provider. Its reply subject is the asking gateway's.
type Job struct {
	Job          string          `json:"job"`     // attempt id: one attempt makes at most one provider call
	Gateway      string          `json:"gateway"` // where events go
	To           uint64          `json:"to,string"`
	Session      string          `json:"session"`
	ClientKey    []byte          `json:"client_key,omitempty"` // SHA-256 of the client's secret
	Content      []byte          `json:"content,omitempty"`    // with ClientKey: SHA-256 of the question
	Name         string          `json:"name,omitempty"`       // the client's own name for the turn
	Product      string          `json:"product,omitempty"`    // of the customer address
	Provider     string          `json:"provider"`
	Model        string          `json:"model,omitempty"`
	System       string          `json:"system,omitempty"`
	Messages     json.RawMessage `json:"messages"` // [{"role","content"}], the question last
	Temperature  *float64        `json:"temperature,omitempty"`
	MaxTokens    int             `json:"max_tokens,omitempty"`
	OnDisconnect string          `json:"on_disconnect"`
	NeedsKey     bool            `json:"needs_key,omitempty"` // a sealed key follows by control
	Reasoning    bool            `json:"reasoning,omitempty"` // the asker wants to see it
	Movable      bool            `json:"movable,omitempty"`   // another worker would be asked, where this one cannot reach the vendor
	Avoid        []string        `json:"avoid,omitempty"`     // workers that could not reach the vendor: they say busy
	Sent         int64           `json:"sent"`                // sender's clock, unix ms
	Deadline     int64           `json:"deadline"`            // unix ms, sender's clock: later the job is dropped
	Trace        string          `json:"-"`                   // W3C traceparent, in the header of that name; empty = not traced. Not judged here
}

// Types of Reply.
const (
	ReplyAccepted = "accepted" // to a job: Run and Worker are set
	ReplyBusy     = "busy"     // to a job: no room here
	ReplyRefused  = "refused"  // to a job: Code and Message say why
	ReplyFound    = "found"    // to a resume or cancel: it will be done; to a find: it is here
	ReplyMissing  = "missing"  // to a resume, cancel or find: no such run for you
)

// Reply answers a job or a control on the asking gateway's `.r.<to>` subject.
type Reply struct {
	Type    string `json:"type"`
	Run     string `json:"run,omitempty"`
	Worker  string `json:"worker,omitempty"`
	Name    string `json:"name,omitempty"` // found: the client's own name for the turn
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`

	RetryAfter int `json:"retry_after,omitempty"` // of a refusal: seconds

	// Of a found run, in answer to a find.
	Age     int64  `json:"age,omitempty"`     // ms since it was accepted
	Over    bool   `json:"over,omitempty"`    // it has ended and is kept
	Content []byte `json:"content,omitempty"` // its job's
}

// Types of Event.
const (
	EventStatus    = "status"
	EventChunk     = "chunk"
	EventReasoning = "reasoning" // has no seq, and is not told again where it is lost
	EventSnapshot  = "snapshot"
	EventComplete  = "complete"
	EventCancelled = "cancelled"
	EventError     = "error"
)

// Event is one thing a run says to one follower. On the bus it is one line of
// JSON without HTML escaping; a message to a gateway holds one or more lines.
type Event struct {
	Type string `json:"type"`
	To   uint64 `json:"to,string"`
	Seq  uint64 `json:"seq,omitempty"`
	// Text is the body of a JSON string, escaped, without quotes. It points
	// into the message it came in and is never written to.
	Text []byte `json:"-"`

	Run        string `json:"run,omitempty"`  // status and terminal events: who speaks, for a gateway that forgot
	From       uint64 `json:"from,omitempty"` // snapshot: seq of its first chunk; Seq is its last
	More       bool   `json:"more,omitempty"` // snapshot: another part follows
	State      string `json:"state,omitempty"`
	Position   int    `json:"position,omitempty"` // status queued: how many are served before, and it
	Finish     string `json:"finish_reason,omitempty"`
	Provider   string `json:"provider,omitempty"`
	Model      string `json:"model,omitempty"`
	Attempts   int    `json:"attempts,omitempty"` // calls of vendors
	Usage      *Usage `json:"usage,omitempty"`
	Code       string `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"` // seconds
	Elsewhere  bool   `json:"elsewhere,omitempty"`   // error before the first chunk: another worker may do better
}

// Usage counts tokens of a run.
type Usage struct {
	InputTokens  int  `json:"input_tokens"`
	OutputTokens int  `json:"output_tokens"`
	Estimated    bool `json:"estimated"`
}

// Types of Control.
const (
	ControlKey      = "key"      // Sealed holds the user's key for Run
	ControlRelease  = "release"  // the accept came too late: drop Run
	ControlCancel   = "cancel"   // stop Run; acknowledged by its terminal event
	ControlGone     = "gone"     // the follower To of Gateway lost its socket
	ControlResume   = "resume"   // follow Run as To of Gateway, from after After
	ControlAck      = "ack"      // the follower To of Gateway has its terminal
	ControlFind     = "find"     // tell To of Gateway which run has this Session, ClientKey and Name
	ControlWithdraw = "withdraw" // do not take Job any more; told missing, or accepted again where it has a run
	ControlProbe    = "probe"    // needs no answer: NATS itself answers where nobody listens
)

// Control is one word to a run, published to its worker's control subject.
type Control struct {
	Type         string `json:"type"`
	Run          string `json:"run"`
	Job          string `json:"job,omitempty"` // withdraw: what is asked back
	Gateway      string `json:"gateway"`
	To           uint64 `json:"to,string"`
	Session      string `json:"session,omitempty"`
	ClientKey    []byte `json:"client_key,omitempty"` // find: SHA-256 of the client's secret
	Name         string `json:"name,omitempty"`       // find: the client's own name for the turn; empty = any
	OnDisconnect string `json:"on_disconnect,omitempty"`
	After        uint64 `json:"after,omitempty"` // resume: the snapshot starts behind this seq
	Cut          uint64 `json:"cut,omitempty"`   // resume: a part of the snapshot ends exactly at this seq
	Sealed       []byte `json:"sealed,omitempty"`
}

// Roles of a Beat.
const (
	RoleWorker  = "worker"
	RoleGateway = "gateway"
)

// Beat says twice a second that a process lives and what it offers.
type Beat struct {
	Role      string  `json:"role"`
	ID        string  `json:"id"` // new at every start
	Version   string  `json:"version"`
	Sent      int64   `json:"sent"` // sender's clock, unix ms
	Providers []Offer `json:"providers,omitempty"`
	Active    int     `json:"active"`
	Capacity  int     `json:"capacity"`
	Draining  bool    `json:"draining,omitempty"`
	Leaving   bool    `json:"leaving,omitempty"` // the last beat of an orderly end
	PublicKey []byte  `json:"public_key,omitempty"`
}

// Offer is one provider of a worker.
type Offer struct {
	Name         string   `json:"name"`
	Type         string   `json:"type"`
	State        string   `json:"state"`                 // ready, needs_key, resting, off
	Resting      bool     `json:"resting,omitempty"`     // it is left alone; with a fallback its state is ready all the same
	RetryAfter   int      `json:"retry_after,omitempty"` // of a resting one: seconds
	Models       []string `json:"models,omitempty"`
	DefaultModel string   `json:"default_model,omitempty"`
	Rests        []Rest   `json:"rests,omitempty"` // what this worker has met itself, not what it heard
}

// Rest says that a key, or a whole provider, is not to be asked for a while.
// Other workers believe it.
type Rest struct {
	Key   string `json:"key,omitempty"`   // fingerprint of a deployment key; empty = the whole provider
	Model string `json:"model,omitempty"` // empty = all of them
	For   int64  `json:"for"`             // ms, from when the beat was sent
	Why   string `json:"why,omitempty"`
}

// UsageRecord is what one run cost, for who bills. Each run says it once, at its
// end, whatever its end was.
type UsageRecord struct {
	Version      int       `json:"v"` // 1
	Time         time.Time `json:"time"`
	RunHash      string    `json:"run_hash"` // hex of the first 16 bytes of the run_id's SHA-256: who has that finds this, nobody resumes by it
	Worker       string    `json:"worker"`
	Gateway      string    `json:"gateway"`
	Session      string    `json:"session"`
	Name         string    `json:"name,omitempty"` // the client's own name for the turn
	Product      string    `json:"product,omitempty"`
	Provider     string    `json:"provider"`        // who answered
	Asked        string    `json:"asked,omitempty"` // who was asked, where that is somebody else
	Model        string    `json:"model,omitempty"`
	Key          string    `json:"key"`              // user, deployment, none
	KeyID        string    `json:"key_id,omitempty"` // fingerprint of the deployment's key
	Outcome      string    `json:"outcome"`          // complete, cancelled, error
	Code         string    `json:"code,omitempty"`   // of an error
	Finish       string    `json:"finish_reason,omitempty"`
	InputTokens  int       `json:"input_tokens"`
	OutputTokens int       `json:"output_tokens"`
	Estimated    bool      `json:"estimated"`
	Attempts     int       `json:"attempts"` // calls of vendors
	OutputBytes  int       `json:"output_bytes"`
	Millis       int64     `json:"ms"` // from the accept to the end
}
