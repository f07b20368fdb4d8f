package protocol

// Type is the value of a frame's "type" field.
type Type string

// What a server says.
const (
	TypeAccepted  Type = "accepted"
	TypeStatus    Type = "status"
	TypeChunk     Type = "chunk"
	TypeReasoning Type = "reasoning"
	TypeSnapshot  Type = "snapshot"
	TypeComplete  Type = "complete"
	TypeCancelled Type = "cancelled"
	TypeError     Type = "error"
	TypePong      Type = "pong"
	TypeReconnect Type = "reconnect"
)

// What a client says. "stop" is another spelling of "cancel".
const (
	TypeChat   Type = "chat"
	TypeCancel Type = "cancel"
	TypeStop   Type = "stop"
	TypeResume Type = "resume"
	TypePing   Type = "ping"
)

// Values of Frame.State.
const (
	StateQueued    = "queued"
	StateWaiting   = "waiting"
	StateStreaming = "streaming"
)

// Values of Frame.Finish.
const (
	FinishStop   = "stop"
	FinishLength = "length"
)

// Values of Frame.For: which request an error answers when it ends no turn.
const (
	ForCancel = "cancel"
	ForResume = "resume"
)

// Usage counts tokens. Estimated is true where the vendor told nothing.
type Usage struct {
	InputTokens  int  `json:"input_tokens"`
	OutputTokens int  `json:"output_tokens"`
	Estimated    bool `json:"estimated"`
}

// Frame is one thing the server says. Which fields matter follows from Type;
// Append writes exactly the fields of the contract.
//
// A turn without an id gets the small shape (Named false); a turn with an id,
// and every HTTP exchange, gets the fuller one (Named true).
//
// Who receives a *Frame borrows it, and the bytes of Text, until the call
// returns; what it wants to keep it copies.
type Frame struct {
	Type    Type
	Named   bool
	ID      string // the client's name for the turn; empty on HTTP without id
	RunID   string
	Session string // only in the JSON answer of POST /api/chat

	Seq  uint64
	From uint64 // first seq inside a joined chunk; 0 where nothing was joined

	// Text is the body of a JSON string, already escaped, without its quotes:
	// the content of a chunk, snapshot or reasoning, the full_response of a complete or
	// cancelled, the partial of an error.
	Text []byte

	State    string // of a status
	Position int    // of a queued status: how many are served before this turn, and it; 0 = unknown

	Finish   string // of a complete
	Provider string
	Model    string
	Attempts int // calls of vendors that the answer took; 0 = unknown
	Usage    *Usage

	Code       Code // of an error
	Message    string
	RetryAfter int    // whole seconds; 0 = waiting does not help
	For        string // ForCancel, ForResume: the error answers a request and ends no turn

	AfterMS int // of a reconnect
}
