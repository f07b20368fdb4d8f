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
	Kind       Kind
	Address    string // the key of every limit: an IPv4 address, or an IPv6 /64 network
	Session    string // the session_id of the URL, not yet validated
	NewSession bool   // HTTP only: the client sent no session_id, the server made one up
	Product    string // the product_id of the URL, not yet validated
	Customer   bool   // came in by the customer address
	Origin     string // for logs only; judged before the upgrade
}
