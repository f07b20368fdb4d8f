package protocol

// Cause names why a socket ended. Logs, metrics and tests use the same words.
type Cause string

// The causes.
const (
	CauseClient       Cause = "client_closed"     // the client said close, or the HTTP exchange is over
	CauseGone         Cause = "client_gone"       // FIN or RST without a close frame
	CauseServer       Cause = "server_closed"     // the connection actor called Close
	CausePongTimeout  Cause = "pong_timeout"      // silent after a ping
	CauseSlowConsumer Cause = "slow_consumer"     // the outbox bound was reached
	CauseProtocol     Cause = "protocol_error"    // the client broke RFC 6455 or a bound
	CauseTooBig       Cause = "message_too_big"   // a message above websocket.max_message_bytes
	CauseAdmission    Cause = "admission_timeout" // nobody admitted it in time
)

// ByServer tells whether the server ended the socket, not the client.
func (c Cause) ByServer() bool {
	return c == CauseServer || c == CauseSlowConsumer || c == CauseAdmission
}
