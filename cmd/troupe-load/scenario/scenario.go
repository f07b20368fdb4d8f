package scenario

// Modes of a scenario.
const (
	ModeTroupe  = "troupe"  // the frames of docs/protocol.md
	ModeGeneric = "generic" // any WebSocket server that streams; see Generic
)

// Kinds of Questions.Arrival.
const (
	ArrivalNone     = "none"     // connections rest
	ArrivalOnce     = "once"     // every connection asks one question
	ArrivalClosed   = "closed"   // every connection asks again, a think time after its last answer
	ArrivalPoisson  = "poisson"  // open loop: Rate a second on average, independent of one another
	ArrivalConstant = "constant" // open loop: Rate a second, evenly spaced
)

// Ways in which a socket is lost on purpose.
const (
	HowCancel = "cancel" // Abort alone: the question is stopped, the socket stays
	HowReset  = "reset"  // cut without a word, as when a phone leaves the network
	HowClose  = "close"  // a close frame in good order
)

// Scenario is one load. Default fills in what a file leaves out.
type Scenario struct {
	Name            string            `yaml:"name"`
	About           string            `yaml:"about"`
	Mode            string            `yaml:"mode"`
	Path            string            `yaml:"path"` // appended to the URL; {{session}} is replaced
	Headers         map[string]string `yaml:"headers"`
	Subprotocol     string            `yaml:"subprotocol"`
	InsecureTLS     bool              `yaml:"insecure_tls"`
	Connections     int               `yaml:"connections"`
	Ramp            float64           `yaml:"ramp"` // connections a second; 0 = all at once
	WarmUp          Duration          `yaml:"warm_up"`
	Duration        Duration          `yaml:"duration"`
	Seed            uint64            `yaml:"seed"`
	SourceAddresses Choice            `yaml:"source_addresses"` // addresses and CIDRs
	Questions       Questions         `yaml:"questions"`
	Abort           Abort             `yaml:"abort"`
	SlowReaders     SlowReaders       `yaml:"slow_readers"`
	Visits          Visits            `yaml:"visits"`
	Reconnect       Reconnect         `yaml:"reconnect"`
	Timeouts        Timeouts          `yaml:"timeouts"`
	Checks          Checks            `yaml:"checks"`
	Generic         *Generic          `yaml:"generic,omitempty"`
}

// Questions say what is asked, and when.
type Questions struct {
	Arrival       string    `yaml:"arrival"`
	Rate          float64   `yaml:"rate"`           // a second, of all connections together; open loop
	Think         Durations `yaml:"think"`          // closed loop
	Spread        Duration  `yaml:"spread"`         // first questions of a closed loop, and of once, are spread over it
	PerConnection int       `yaml:"per_connection"` // at one time
	Named         bool      `yaml:"named"`
	Provider      string    `yaml:"provider"`
	Models        Choice    `yaml:"models"` // one is drawn for each question
	Words         Counts    `yaml:"words"`  // of a question that is made up
	Text          string    `yaml:"text"`   // asked instead of words that are made up
	MaxTokens     int       `yaml:"max_tokens"`
	Memory        bool      `yaml:"memory"` // the server adds what the socket asked and heard before
}

// Abort is users who change their mind.
type Abort struct {
	Probability float64   `yaml:"probability"`
	After       Durations `yaml:"after"`
	How         string    `yaml:"how"`
}

// SlowReaders is a share of the connections that read slowly. Their latencies
// say nothing about the server and are not measured.
type SlowReaders struct {
	Share         float64 `yaml:"share"`
	Rate          int     `yaml:"rate"`           // bytes a second
	ReceiveBuffer int     `yaml:"receive_buffer"` // bytes of the kernel's; 0 = the system's choice
}

// Visits replace lasting connections: Rate a second come, ask, and leave.
type Visits struct {
	Rate      float64 `yaml:"rate"` // a second; 0 = connections last
	Questions int     `yaml:"questions"`
}

// Reconnect is how sockets get lost and what follows.
type Reconnect struct {
	DropAt   Moments   `yaml:"drop_at"` // after the load began
	Share    float64   `yaml:"share"`
	How      string    `yaml:"how"`
	WhenLost bool      `yaml:"when_lost"` // come back also where the server ended the socket
	Refused  bool      `yaml:"refused"`   // come back after a refusal, when retry_after says
	Back     Durations `yaml:"back"`      // from the loss to the new connection
	Resume   bool      `yaml:"resume"`
}

// Timeouts after which the tool gives up.
type Timeouts struct {
	Handshake Duration `yaml:"handshake"` // from the connection's beginning to 101
	Answer    Duration `yaml:"answer"`    // from the question to its end
	Finish    Duration `yaml:"finish"`    // for what is under way when the duration is over
}

// Checks decide whether a run passes, besides order, loss, text and ends, which
// always count.
type Checks struct {
	MaxErrors *int64              `yaml:"max_errors"` // absent = not judged
	Allow     []string            `yaml:"allow"`      // codes that are no errors here
	P50       map[string]Duration `yaml:"p50"`
	P90       map[string]Duration `yaml:"p90"`
	P99       map[string]Duration `yaml:"p99"`
	P999      map[string]Duration `yaml:"p999"`
	Max       map[string]Duration `yaml:"max"`
	AtLeast   map[string]float64  `yaml:"at_least"` // a second: questions, completed, frames, chunks, connections
}

// Generic describes a foreign server's messages.
type Generic struct {
	Send     string `yaml:"send"` // {{id}}, {{session}}, {{content}}, {{n}}
	Chunk    Match  `yaml:"chunk"`
	End      Match  `yaml:"end"`
	Error    Match  `yaml:"error"`
	Text     string `yaml:"text"`     // field of a chunk, with dots
	Full     string `yaml:"full"`     // field of the end that repeats the whole text
	Sequence string `yaml:"sequence"` // field of a chunk: a number that grows by one
	ID       string `yaml:"id"`       // field that names the question
}

// Match recognises a message: by a JSON field, by a part of it, or by a regular
// expression. A Match without anything recognises nothing.
type Match struct {
	Field    string `yaml:"field"`  // with dots
	Equals   string `yaml:"equals"` // absent: the field is there, and not null
	Contains string `yaml:"contains"`
	Matches  string `yaml:"matches"`
}

// Empty tells whether nothing can match.
func (m Match) Empty() bool { return m.Field == "" && m.Contains == "" && m.Matches == "" }

// Open tells whether questions come by themselves, however slow the answers.
func (q Questions) Open() bool { return q.Arrival == ArrivalPoisson || q.Arrival == ArrivalConstant }
