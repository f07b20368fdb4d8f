package provider

import (
	"net/http"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// take reads one event. Its kind stands in its data as well as in its name; the
// data counts. Kinds that are not known are a sign of life and nothing more:
// the vendor says that it may add some.
// https://platform.claude.com/docs/en/build-with-claude/streaming (read in 2026-11)
func (w *anthropic) take(a *answer, ev event) error {
	root, err := parseObject(ev.data)
	if err != nil {
		return err
	}
	var kind string
	var inner, usage gjson.Result
	failed := ev.failed
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "type":
			kind = value.Str
			failed = failed || kind == "error"
		case "message", "content_block", "delta": // an event has one of them
			inner = value
		case "usage":
			usage = value
		case "error":
			failed = failed || value.IsObject() || value.Type == gjson.String && value.Str != ""
		}
		return true
	})
	if failed {
		return anthropicError(root)
	}
	switch kind {
	case "content_block_start", "content_block_delta":
		takeBlock(a, inner)
	case "message_start":
		a.takeModel(inner.Get("model"))
		takeAnthropicUsage(a, inner.Get("usage"), false)
	case "message_delta":
		takeStopReason(a, inner.Get("stop_reason").Str)
		takeAnthropicUsage(a, usage, true)
	case "message_stop":
		a.over = true
	}
	return nil
}

// takeBlock collects what a block starts with, which the vendor leaves empty,
// or what a delta adds to it. Signatures, citations and the input of tools are
// no text.
func takeBlock(a *answer, block gjson.Result) {
	var kind string
	var text, thinking gjson.Result
	block.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "type":
			kind = value.Str
		case "text":
			text = value
		case "thinking":
			thinking = value
		}
		return true
	})
	switch kind {
	case "text", "text_delta":
		a.addText(text)
	case "thinking", "thinking_delta":
		a.addThought(thinking)
	}
}

// takeStopReason reads why the answer ends.
// https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons (read in 2026-11)
func takeStopReason(a *answer, reason string) {
	switch reason {
	case "":
	case "max_tokens", "model_context_window_exceeded":
		a.finish = protocol.FinishLength
	case "refusal": // by the vendor's classifiers; what the model declines itself is text
		a.filtered = true
		a.finish = protocol.FinishStop
	default: // end_turn, stop_sequence, tool_use, pause_turn, and what is to come
		a.finish = protocol.FinishStop
	}
}

// takeAnthropicUsage reads the counts. They are cumulative, so the largest is
// the latest: message_start counts the question, message_delta the answer and,
// with some servers only there, the question. What went to or came from a cache
// counts beside input_tokens. Until the answer is counted the usage is marked as
// an estimate, and the answer's own length fills it in where the count never
// comes.
func takeAnthropicUsage(a *answer, usage gjson.Result, last bool) {
	in, out := usage.Get("input_tokens"), usage.Get("output_tokens")
	if a.usage == nil {
		if in.Type != gjson.Number {
			return
		}
		a.usage = &protocol.Usage{Estimated: true}
	}
	question := tokens(in) + tokens(usage.Get("cache_creation_input_tokens")) + tokens(usage.Get("cache_read_input_tokens"))
	a.usage.InputTokens = max(a.usage.InputTokens, min(question, maxTokens))
	a.usage.OutputTokens = max(a.usage.OutputTokens, tokens(out))
	if last && out.Type == gjson.Number {
		a.usage.Estimated = false
	}
}

// anthropicError reads an error event. It has no status any more, but its type
// is the one that belongs to a status elsewhere.
func anthropicError(root gjson.Result) vendorError {
	v := parseVendorError(root)
	if status := anthropicStatus(v.kind); v.code == "" && status != 0 {
		v.code = strconv.Itoa(status)
	}
	return v
}

// anthropicStatus is the status of a type of error; 0 = it is not known.
// https://platform.claude.com/docs/en/api/errors (read in 2026-11)
func anthropicStatus(kind string) int {
	switch kind {
	case "invalid_request_error":
		return http.StatusBadRequest
	case "authentication_error":
		return http.StatusUnauthorized
	case "billing_error":
		return http.StatusPaymentRequired
	case "permission_error":
		return http.StatusForbidden
	case "not_found_error":
		return http.StatusNotFound
	case "request_too_large":
		return http.StatusRequestEntityTooLarge
	case "rate_limit_error":
		return http.StatusTooManyRequests
	case "api_error":
		return http.StatusInternalServerError
	case "timeout_error":
		return http.StatusGatewayTimeout
	case "overloaded_error":
		return statusOverloaded
	}
	return 0
}
