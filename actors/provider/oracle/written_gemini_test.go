package oracle

import (
	"strings"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// chunkOf is an event of Google's wire.
func chunkOf(data string) string { return "data: " + data + "\r\n\r\n" }

// writtenGemini are streams of Google's wire alone.
func writtenGemini() map[string]faulty.Script {
	parts := func(list string) string {
		return chunkOf(`{"candidates":[{"content":{"parts":[` + list + `],"role":"model"},"index":0}],"modelVersion":"m-1"}`)
	}
	a := parts(`{"text":"a"}`)
	end := chunkOf(`{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"m-1"}`)
	raw := func(events ...string) faulty.Script { return faulty.Script{Raw: []byte(strings.Join(events, ""))} }
	ends := func(reason string) faulty.Script {
		return faulty.Script{Deltas: []string{"a"}, Finish: reason, Usage: new(protocol.Usage)}
	}
	bare := `{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}`
	return map[string]faulty.Script{
		"RECITATION":               ends("RECITATION"),
		"LANGUAGE":                 ends("LANGUAGE"),
		"BLOCKLIST":                ends("BLOCKLIST"),
		"PROHIBITED_CONTENT":       ends("PROHIBITED_CONTENT"),
		"SPII":                     ends("SPII"),
		"OTHER":                    ends("OTHER"),
		"MALFORMED_FUNCTION_CALL":  ends("MALFORMED_FUNCTION_CALL"),
		"a reason of the future":   ends("BORED"),
		"parts of both kinds":      raw(parts(`{"text":"b","thought":true},{"text":"a"},{"text":"c","thought":true},{"text":"d"}`), end),
		"other kinds of part":      raw(parts(`{"text":"a"},{"functionCall":{"name":"text","args":{"text":"b"}}},{"inlineData":{"mimeType":"image/png","data":"AA=="}}`), end),
		"fields of the future":     raw(chunkOf(`{"candidates":[{"content":{"parts":[{"text":"a","mood":1}],"mood":[]},"mood":{}}],"mood":"b","modelVersion":"m-1"}`), end),
		"a second candidate":       raw(chunkOf(`{"candidates":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}],"modelVersion":"m-1"}`), end),
		"text behind the end":      raw(a, end, parts(`{"text":"b"}`)),
		"a count behind the end":   raw(a, end, chunkOf(`{"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":3},"modelVersion":"m-1"}`)),
		"tokens of a tool":         raw(a, chunkOf(`{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"toolUsePromptTokenCount":4,"candidatesTokenCount":2},"modelVersion":"m-1"}`)),
		"lone surrogates":          raw(parts(`{"text":"\ud83d - \ude00"}`), end),
		"lone surrogate, escape":   raw(parts(`{"text":"\ud83d\u0041"}`), end),
		"surrogates in two chunks": raw(parts(`{"text":"\ud83d"}`), parts(`{"text":"\ude00"}`), end),
		"bytes that are no UTF-8":  raw(parts("{\"text\":\"a\xff\xc0\xafb\"}"), end),
		"no space":                 raw(strings.ReplaceAll(a+end, "data: ", "data:")),
		"no empty line at the end": raw(a, strings.TrimSuffix(end, "\r\n")),
		"no line end at the end":   raw(a, strings.TrimSuffix(end, "\r\n\r\n")),
		"an error without data":    raw(a, bare),
		"an error behind the end":  raw(a, end, bare),
		"an error over many lines": raw(a, "{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"x\",\n    \"status\": \"UNAVAILABLE\"\n  }\n}\n"),
		"an error in a list":       raw(a, "["+bare+"]"),
		"an error that is null":    raw(chunkOf(`{"error":null,"candidates":[{"content":{"parts":[{"text":"a"}]}}],"modelVersion":"m-1"}`), end),
		"an error, a string":       raw(a, chunkOf(`{"error":"overloaded"}`)),
		"a line of 2 MiB":          raw(a, "data: "+spaces(2<<20)+"{}\r\n\r\n", end),
	}
}
