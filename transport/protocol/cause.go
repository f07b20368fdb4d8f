package protocol

// Cause tells why a socket ended. The zero value is no cause yet.
type Cause uint8

// The causes.
const (
	CauseClient       Cause = iota + 1 // the client said close, or the HTTP exchange is over
	CauseGone                          // FIN or RST without a close frame
	CauseServer                        // the connection actor called Close
	CausePongTimeout                   // silent after a ping
	CauseSlowConsumer                  // the outbox bound was reached
	CauseProtocol                      // the client broke RFC 6455 or a bound
	CauseTooBig                        // a message above websocket.max_message_bytes
	CauseAdmission                     // nobody admitted it in time
)

// String is the word for it in logs.
func (c Cause) String() string {
	switch c {
	case CauseClient:
		return "client_closed"
	case CauseGone:
		return "client_gone"
	case CauseServer:
		return "server_closed"
	case CausePongTimeout:
		return "pong_timeout"
	case CauseSlowConsumer:
		return "slow_consumer"
	case CauseProtocol:
		return "protocol_error"
	case CauseTooBig:
		return "message_too_big"
	case CauseAdmission:
		return "admission_timeout"
	default:
		return ""
	}
}

// ByServer tells whether the server ended the socket, not the client.
func (c Cause) ByServer() bool {
	return c == CauseServer || c == CauseSlowConsumer || c == CauseAdmission
}
