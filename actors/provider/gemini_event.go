package provider

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// take reads one event: a GenerateContentResponse or an error object.
// https://ai.google.dev/api/generate-content#generatecontentresponse (read in November 2026)
//
// The wire has no word for its end. What a chunk says about the end holds for
// the text so far: text that comes without such a word later takes it back, so
// that an answer counts as whole only where its last text was followed by one.
func (w *gemini) take(a *answer, ev event) error {
	root, err := parseObject(ev.data)
	if err != nil {
		return err
	}
	failed := ev.failed
	var ends bool
	var usage gjson.Result
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "candidates":
			ends = takeCandidates(a, value) || ends
		case "promptFeedback":
			ends = takeFeedback(a, value) || ends
		case "usageMetadata":
			usage = value
		case "modelVersion":
			a.takeModel(value)
		case "error":
			failed = failed || value.IsObject() || value.Type == gjson.String && value.Str != ""
		}
		return true
	})
	if failed {
		return parseVendorError(root)
	}
	a.mayEnd = ends || a.mayEnd && a.text.bytes+a.thought.bytes == 0
	takeGeminiUsage(a, usage)
	return nil
}

// takeCandidates reads the first candidate; no other is ever asked for. It tells
// whether the candidate said how it ended.
func takeCandidates(a *answer, candidates gjson.Result) (ends bool) {
	candidates.ForEach(func(_, candidate gjson.Result) bool {
		candidate.ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "content":
				takeContent(a, value)
			case "finishReason":
				ends = takeGeminiFinish(a, value.Str)
			}
			return true
		})
		return false
	})
	return ends
}

func takeContent(a *answer, content gjson.Result) {
	content.ForEach(func(key, parts gjson.Result) bool {
		if key.Str == "parts" {
			parts.ForEach(func(_, part gjson.Result) bool {
				takePart(a, part)
				return true
			})
		}
		return true
	})
}

// takePart collects text. Other kinds of part are never asked for.
// https://ai.google.dev/gemini-api/docs/thinking (read in November 2026)
func takePart(a *answer, part gjson.Result) {
	var text gjson.Result
	thought := false
	part.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "text":
			text = value
		case "thought":
			thought = value.Type == gjson.True
		}
		return true
	})
	if thought {
		a.addThought(text)
	} else {
		a.addText(text)
	}
}

// takeGeminiFinish reads how an answer ended, and tells whether the orderly end
// of the stream may follow. Reasons that are neither an end nor a filter, and
// those that nobody knows yet, mean that the model broke off: such an answer is
// never complete, whatever is said behind it.
// https://ai.google.dev/api/generate-content#FinishReason (read in November 2026)
func takeGeminiFinish(a *answer, reason string) (ends bool) {
	switch {
	case reason == "":
		return false
	case reason == "STOP":
		a.finish = protocol.FinishStop
	case reason == "MAX_TOKENS":
		a.finish = protocol.FinishLength
	case isGeminiFilter(reason):
		a.filtered = true
		a.finish = protocol.FinishStop
	default: // MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, OTHER, …
		a.breakOff("finishReason", reason)
	}
	return true
}

func isGeminiFilter(reason string) bool {
	switch reason {
	case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "MODEL_ARMOR":
		return true
	}
	return strings.HasPrefix(reason, "IMAGE_")
}

// takeFeedback reads what the vendor thinks of the question. One that it blocks
// gets no candidates.
func takeFeedback(a *answer, feedback gjson.Result) (ends bool) {
	if feedback.Get("blockReason").Str == "" {
		return false
	}
	a.filtered = true
	a.finish = protocol.FinishStop
	return true
}

// takeGeminiUsage believes the latest count: every chunk has one, of all so far.
// Thinking is paid for like the answer. Chunks before the last may count the
// input alone; should the answer break off there, its output is an estimate.
func takeGeminiUsage(a *answer, usage gjson.Result) {
	var in, out int
	var counted, countedOut bool
	usage.ForEach(func(key, value gjson.Result) bool {
		if value.Type != gjson.Number {
			return true
		}
		switch key.Str {
		case "promptTokenCount", "toolUsePromptTokenCount":
			in, counted = min(in+tokens(value), maxTokens), true
		case "candidatesTokenCount", "thoughtsTokenCount":
			out, countedOut = min(out+tokens(value), maxTokens), true
		}
		return true
	})
	if !counted && !countedOut {
		return
	}
	if a.usage == nil {
		a.usage = new(protocol.Usage)
	}
	*a.usage = protocol.Usage{InputTokens: in, OutputTokens: out}
	if said := a.text.soFar() + a.thought.soFar(); !countedOut && said > 0 {
		a.usage.OutputTokens, a.usage.Estimated = estimate(said), true
	}
}
