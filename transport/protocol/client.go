package protocol

// Kind tells by which door a client came in.
type Kind uint8

const (
	// WebSocket is a client that may ask many questions on one socket.
	WebSocket Kind = iota
	// HTTP is one exchange: POST /api/chat or a cancel.
	HTTP
)

// String names the kind as logs and metrics do.
func (k Kind) String() string {
	if k == HTTP {
		return "http"
	}
	return "websocket"
}

// Client is who opened a connection, as the transport saw it.
// It is set once, before the connection's actor starts, and never changes.
type Client struct {
	Connection string // server-made id, safe in logs
	Address    string // the key of every limit: an IPv4 address, or an IPv6 /64 network
	Session    string // the session_id of the URL, not yet validated
	Product    string // the product_id of the URL, not yet validated
	Origin     string // for logs only; judged before the upgrade
	Kind       Kind
	NewSession bool // HTTP only: the client sent no session_id, the server made one up
	Customer   bool // came in by the customer address
	Asks       bool // HTTP only: the exchange asks a question that has no run yet
	Proxy      bool // Address is a trusted proxy's own: whoever asks through it is not known

	Trace *TraceParent // of the request that opened it; nil where it named none
}
