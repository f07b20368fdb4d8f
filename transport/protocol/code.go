package protocol

// Code is one word of the closed, append-only list of errors.
type Code string

// The codes. The table in codes_table.go says what each one means on the wire.
const (
	OriginNotAllowed        Code = "ORIGIN_NOT_ALLOWED"
	Unauthorized            Code = "UNAUTHORIZED"
	Forbidden               Code = "FORBIDDEN"
	ConnectionLimitExceeded Code = "CONNECTION_LIMIT_EXCEEDED"
	ConnectionRateExceeded  Code = "CONNECTION_RATE_EXCEEDED"
	SessionLimitExceeded    Code = "SESSION_LIMIT_EXCEEDED"
	RateLimitExceeded       Code = "RATE_LIMIT_EXCEEDED"
	InvalidSession          Code = "INVALID_SESSION"
	InvalidProduct          Code = "INVALID_PRODUCT"
	ProductNotFound         Code = "PRODUCT_NOT_FOUND"
	InvalidMessage          Code = "INVALID_MESSAGE"
	UnsupportedType         Code = "UNSUPPORTED_TYPE"
	UnknownProvider         Code = "UNKNOWN_PROVIDER"
	UnknownModel            Code = "UNKNOWN_MODEL"
	MessageTooBig           Code = "MESSAGE_TOO_BIG"
	RunInProgress           Code = "RUN_IN_PROGRESS"
	NoActiveRun             Code = "NO_ACTIVE_RUN"
	RunNotFound             Code = "RUN_NOT_FOUND"
	NoWorkers               Code = "NO_WORKERS"
	Overloaded              Code = "OVERLOADED"
	BusUnavailable          Code = "BUS_UNAVAILABLE"
	ProviderUnauthorized    Code = "PROVIDER_UNAUTHORIZED"
	ProviderRateLimited     Code = "PROVIDER_RATE_LIMITED"
	ProviderRejected        Code = "PROVIDER_REJECTED"
	ProviderUnavailable     Code = "PROVIDER_UNAVAILABLE"
	ProviderTimeout         Code = "PROVIDER_TIMEOUT"
	ProviderInterrupted     Code = "PROVIDER_INTERRUPTED"
	WorkerLost              Code = "WORKER_LOST"
	Internal                Code = "INTERNAL"
	SlowConsumer            Code = "SLOW_CONSUMER"
	IdleTimeout             Code = "IDLE_TIMEOUT"
	ShuttingDown            Code = "SHUTTING_DOWN"
)

// Info is everything the outside can see of a code.
type Info struct {
	Code       Code
	HTTPStatus int    // 0 where the code cannot reach an HTTP client
	Close      uint16 // WebSocket close code; 0 = the socket stays open
	Retryable  bool   // asking again, unchanged, may work
	Advice     string // one sentence to a developer: what to do about it
}

// Error is a refusal or a failure with its two faces: Code and Message are safe
// for the user, Err is the chain for the operator and never leaves the log.
type Error struct {
	Code       Code
	Message    string
	RetryAfter int // whole seconds; 0 = waiting does not help
	Err        error
}

// Error implements error for the operator.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives errors.Is and errors.As the chain.
func (e *Error) Unwrap() error { return e.Err }
