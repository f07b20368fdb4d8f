package oracle

import (
	"net/http"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// writtenOpenAI are streams of OpenAI's wire alone.
func writtenOpenAI() map[string]faulty.Script {
	const first = `data: {"id":"c","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null}]}` + "\n\n"
	const last = `data: {"id":"c","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}` + "\n\n"
	const done = "data: [DONE]\n\n"
	said := func(delta string) string {
		return `data: {"id":"c","object":"chat.completion.chunk","model":"m-1","choices":[{"index":0,"delta":` + delta + `,"finish_reason":null}]}` + "\n\n"
	}
	raw := func(events string) faulty.Script { return faulty.Script{Raw: []byte(events)} }
	ends := func(reason string) faulty.Script {
		return faulty.Script{Deltas: []string{"a"}, Finish: reason, Usage: new(protocol.Usage)}
	}
	return map[string]faulty.Script{
		"reasoning by its other name":  {Deltas: []string{"a"}, Reasoning: []string{"b", "c"}, ReasoningField: "reasoning", Usage: new(protocol.Usage)},
		"reasoning by both names":      raw(said(`{"reasoning":"b","reasoning_content":"b"}`) + first + last + done),
		"refusal":                      raw(said(`{"refusal":"I'd"}`) + said(`{"refusal":" rather not."}`) + last + done),
		"content is null":              raw(said(`{"content":null,"refusal":null}`) + first + last + done),
		"content of another type":      raw(first + said(`{"content":17}`) + last + done),
		"content in parts":             raw(said(`{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`) + said(`{"content":"c"}`) + last + done),
		"thinking in parts":            raw(said(`{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}`) + first + last + done),
		"parts of an unknown kind":     raw(said(`{"content":[{"type":"tea","tea":"a"}]}`) + last + done),
		"ends with stop_sequence":      ends("stop_sequence"),
		"ends with eos_token":          ends("eos_token"),
		"ends with function_call":      ends("function_call"),
		"ends with model_length":       ends("model_length"),
		"ends with max_tokens":         ends("max_tokens"),
		"ends with safety":             ends("safety"),
		"ends with abort":              ends("abort"),
		"ends with error":              ends("error"),
		"ends for want of resources":   ends("insufficient_system_resource"),
		"fields of the future":         raw(said(`{"content":"a","mood":{"a":[1,"b",null]}}`) + `data: {"choices":[],"later":true}` + "\n\n" + last + done),
		"tool calls":                   {Deltas: []string{"a"}, Finish: "tool_calls", Usage: new(protocol.Usage)},
		"a second choice":              raw(`data: {"model":"m-1","choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}` + "\n\n" + last + done),
		"lone surrogates":              raw(said(`{"content":"\ud83d - \ude00"}`) + last + done),
		"lone surrogate, escape":       raw(said(`{"content":"\ud83d\u0041"}`) + last + done),
		"surrogates in two chunks":     raw(said(`{"content":"\ud83d"}`) + said(`{"content":"\ude00"}`) + last + done),
		"the same key twice":           raw(said(`{"content":"a","content":"b"}`) + last + done),
		"a key in other letters":       raw(said(`{"Content":"b"}`) + first + last + done),
		"bytes that are no UTF-8":      raw(said("{\"content\":\"a\xff\xc0\xafb\"}") + last + done),
		"data in two lines":            raw("data: {\"model\":\"m-1\",\"choices\":[{\"index\":0,\ndata: \"delta\":{\"content\":\"a\"}}]}\n\n" + last + done),
		"no space behind the colon":    raw("data:{\"model\":\"m-1\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n" + last + "data:[DONE]\n\n"),
		"other fields":                 raw("id: 1\nretry: 5\nevent: chunk\n" + first + last + done),
		"byte order mark":              raw("\xef\xbb\xbf" + first + last + done),
		"empty lines":                  raw("\n\n" + first + "\n\n\n" + last + "\n" + done),
		"no empty line behind [DONE]":  raw(first + last + "data: [DONE]\n"),
		"no line end behind [DONE]":    raw(first + last + "data: [DONE]"),
		"chunks behind [DONE]":         raw(first + last + done + said(`{"content":"b"}`)),
		"something else behind [DONE]": raw(first + last + "data: [DONE] and on\n\n" + said(`{"content":"b"}`) + done),
		"only [DONE]":                  raw(done),
		"an array":                     raw(first + "data: [1]\n\n" + last + done),
		"a number":                     raw(first + "data: 17\n\n" + last + done),
		"an error with a status":       raw(first + `data: {"error":{"code":502,"message":"upstream"}}` + "\n\n"),
		"an error that is a string":    raw(first + `data: {"error":"overloaded"}` + "\n\n" + done),
		"an error that is null":        raw(`data: {"error":null,"model":"m-1","choices":[{"delta":{"content":"a"}}]}` + "\n\n" + last + done),
		"an error by its event's name": raw(first + "event: error\ndata: {\"message\":\"x\"}\n\n" + last + done),
		"an error of older servers":    raw(first + `data: {"object":"error","message":"too many requests","code":429}` + "\n\n" + done),
		"an error beside text":         raw(first + `data: {"choices":[{"delta":{"content":"b"}}],"error":{"message":"x"}}` + "\n\n"),
		"an error of unknown words":    raw(first + `data: {"error":{"message":"oops","type":"whatever"}}` + "\n\n"),
		"a line of 2 MiB":              raw(first + "data: " + spaces(2<<20) + "{}\n\n" + last + done),
		"an error with status 200":     {Header: http.Header{"Content-Type": {"application/json"}}, Raw: []byte(`{"error":{"message":"slow down","code":429}}`)},
	}
}
