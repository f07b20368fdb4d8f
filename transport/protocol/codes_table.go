package protocol

// table is the closed list, in the order of the documentation. It only grows at
// the end of a group, and no code ever changes its meaning.
//
// It is a function and not a variable, so that nobody can write to it.
func table() [32]Info {
	const (
		open      = 0 // the socket stays open, or there never was one
		normal    = 1000
		goingAway = 1001
		policy    = 1008
		tooBig    = 1009
		failed    = 1011
		tryLater  = 1013
	)
	return [32]Info{
		// Refused before the upgrade: no socket, hence no close code.
		{OriginNotAllowed, 403, open, false, "Add the page's origin to http.extra_origins, or open the page from an allowed origin."},

		{Unauthorized, 401, policy, false, "Sign in and send a valid token."},
		{Forbidden, 403, policy, false, "Use an account that may do this."},

		{ConnectionLimitExceeded, 429, policy, true, "Close connections you no longer need, or raise pool.max_connections or pool.max_per_ip."},
		{ConnectionRateExceeded, 429, policy, true, "Wait retry_after seconds before you connect again, and back off with jitter when reconnecting."},
		{SessionLimitExceeded, 429, policy, true, "Go on with a session you already have, or wait retry_after seconds for a new one."},
		{RateLimitExceeded, 429, open, true, "Wait retry_after seconds before the next message; the socket stays open."},

		{InvalidSession, 400, policy, false, "Use a session_id of 1 to 128 letters, digits and _ . : - that starts with a letter or a digit."},
		{InvalidProduct, 400, policy, false, "Use a product_id of 1 to 128 letters, digits and _ . : - that starts with a letter or a digit."},
		{ProductNotFound, 404, policy, false, "Use a product_id of the products table, or add it there."},

		{InvalidMessage, 400, open, false, "Correct the field that the message names and send again."},
		{UnsupportedType, 400, open, false, "Send one of the types chat, cancel, stop, resume, ping."},
		{UnknownProvider, 400, open, false, "Ask for a provider that GET /api/providers lists, or configure it under providers."},
		{UnknownModel, 400, open, false, "Ask for a model that GET /api/providers lists, or add it to the provider's models."},
		{MessageTooBig, 413, tooBig, false, "Send fewer or shorter messages, or raise websocket.max_message_bytes."},

		{RunInProgress, 409, open, true, "Wait for the running answer to end or cancel it, or give each turn an id to run several at once."},
		{NoActiveRun, 409, open, false, "Nothing is left to cancel; give run_id or client_key to reach a run of another socket."},
		{RunNotFound, 404, open, false, "Ask again with a new chat: the run is unknown, expired or not yours."},

		{NoWorkers, 503, open, true, "Start a worker that serves this provider, or ask for another provider."},
		// A question that ends OVERLOADED leaves the socket open; 1013 is for a
		// connection that was not taken.
		{Overloaded, 503, tryLater, true, "Try again after retry_after seconds, or add workers."},
		{BusUnavailable, 503, open, true, "Try again shortly; the operator should check that NATS is reachable at bus.url."},

		{ProviderUnauthorized, 401, open, false, "Send a valid key in api_keys, or set one in the provider's api_keys on the server."},
		{ProviderRateLimited, 429, open, true, "Wait retry_after seconds, use another key or another provider."},
		{ProviderRejected, 422, open, false, "Change the question, the model or the parameters: the vendor does not accept this one."},
		{ProviderUnavailable, 502, open, true, "Try again later or ask for another provider; the vendor fails or cannot be reached."},
		{ProviderTimeout, 504, open, true, "Try again, or raise the provider's first_token_timeout, stall_timeout or timeout."},
		{ProviderInterrupted, 502, open, true, "Ask again: the vendor's answer broke off, and partial holds what arrived."},

		{WorkerLost, 502, open, true, "Ask again: the worker died while it answered, and partial holds what arrived."},
		// A turn that ends INTERNAL leaves the socket open; 1011 is for a
		// connection that failed itself.
		{Internal, 500, failed, true, "Ask again; if it happens again, give the run_id and the time to the operator, who finds the cause in the log."},

		{SlowConsumer, 0, tryLater, true, "Read faster, reconnect, and resume with run_id and the last seq you have."},
		{IdleTimeout, 0, normal, true, "Connect again when there is something to ask; pings do not keep a connection from being idle."},
		{ShuttingDown, 503, goingAway, true, "Connect again, with jitter: this server is going away, another one answers."},
	}
}

// Codes returns the whole list in the order of the documentation. The slice is
// the caller's own.
func Codes() []Info {
	t := table()
	return t[:]
}

// Lookup returns what is to be known of a code. A code that is not on the list
// is answered with Internal's entry, so the list stays closed on the wire.
func Lookup(c Code) Info {
	fallback := Info{}
	for _, info := range table() {
		if info.Code == c {
			return info
		}
		if info.Code == Internal {
			fallback = info
		}
	}
	return fallback
}

// NewError makes an Error without an operator's chain. retryAfter is in whole
// seconds; 0 means that waiting does not help.
func NewError(code Code, message string, retryAfter int) *Error {
	return &Error{Code: code, Message: message, RetryAfter: retryAfter}
}
