package protocol

// Message is one earlier turn.
type Message struct {
	Role    string `json:"role"` // user, assistant or system
	Content string `json:"content"`
}

// Roles of a Message.
const (
	RoleUser      = "user"
	RoleAssistant = "assistant"
	RoleSystem    = "system"
)

// Policies of Chat.OnDisconnect.
const (
	OnDisconnectCancel   = "cancel"
	OnDisconnectGrace    = "grace"
	OnDisconnectContinue = "continue"
)

// Request is one decoded thing a client said: *Chat, *Cancel, *Resume, *Ping
// or *Bad.
type Request interface{ request() }

// Chat asks a question.
type Chat struct {
	ID           string // empty = unnamed turn
	Content      string // not blank
	Provider     string // as sent; may be empty
	Model        string
	Keys         map[string]Secret // provider name → the user's key; see TakeKey
	ClientKey    ClientKey
	Repeat       bool
	Messages     []Message // earlier turns, oldest first
	HasMessages  bool      // true where the client sent the field, also as []
	System       string
	Temperature  *float64
	MaxTokens    int          // 0 = not sent
	OnDisconnect string       // empty = not sent
	Reasoning    bool         // show what the model thinks aloud, where the turn is named
	Trace        *TraceParent // of the client; nil where it sent none
}

// TakeKey hands out the one key that is needed and destroys all the others.
// The caller owns the returned Secret and zeroes it after use.
func (c *Chat) TakeKey(provider string) Secret {
	key := c.Keys[provider]
	for name, k := range c.Keys {
		if name != provider {
			k.Zero()
		}
	}
	c.Keys = nil
	return key
}

// ClientKey is the SHA-256 of the client's client_key, made at decode.
// The zero value means that none was sent.
type ClientKey [32]byte

// Cancel asks to stop a turn of this socket (ID), a run that is named by its
// id (RunID), or, with neither, the newest running turn of this socket.
type Cancel struct {
	ID        string
	RunID     string
	ClientKey ClientKey
}

// Resume asks to follow a run from after the given seq.
type Resume struct {
	ID        string
	RunID     string
	After     uint64
	ClientKey ClientKey
}

// Ping is answered with a pong frame.
type Ping struct{}

// Bad is a frame that could not be understood. The socket stays open.
// ID is set where the frame could still be told to belong to a turn's name,
// For where it was a cancel or a resume: its error ends no turn.
type Bad struct {
	ID  string
	For string
	Err *Error
}

func (*Chat) request()   {}
func (*Cancel) request() {}
func (*Resume) request() {}
func (*Ping) request()   {}
func (*Bad) request()    {}
