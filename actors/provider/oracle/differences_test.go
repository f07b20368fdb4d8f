package oracle

import (
	"maps"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
)

// known is what ours and a library are known to hear differently of one stream.
type known struct {
	why         string
	differences []difference
}

// Reasons that hold on more than one wire.
const (
	whyEnd       = "ours is complete only where the vendor said so; the libraries take any orderly end of the body for the end of the answer"
	whyHalfLine  = "half a line never counts with ours: it may be the head of a longer one; the libraries do not ask for an end at all"
	whyReason    = "the end was said and no reason for it: ours says stop, the libraries leave the field empty"
	whyCount     = "the vendor counted nothing: ours estimates and says so"
	whyType      = "ours looks at the Content-Type first and never takes JSON or a page for a stream"
	whyLineEnd   = "the standard of event streams lets a line end with CR alone; the libraries know LF and CRLF"
	whySurrogate = "ours joins a surrogate pair that was cut in two; the libraries decode every chunk alone"
	whySwallow   = "the decoder behind the library takes any escape behind a high surrogate for its other half and loses the letter"
	whyUTF8      = "ours says whole UTF-8 only and puts U+FFFD for the rest; the library passes the bytes on"
	whyLong      = "ours bounds an event by 1 MiB, the libraries by tens of MiB and more"
	whyWord      = "a word of those that copy the wire, which the library hands over without a meaning: what is no length and no filter is taken for a stop there"
	whyParts     = "a list of parts is Mistral's content; the library knows strings alone and takes its JSON for the text"
	whyErrorText = "ours reads an error that is no object by its words"
)

// knownDifferences are all differences of the written streams, by stream. What
// ours says comes first.
func knownDifferences(wire faulty.Wire) map[string]known {
	all := map[string]known{
		"empty body":               {whyEnd, kinds(broken, whole)},
		"no end marker":            {whyEnd, kinds(broken, whole)},
		"no reason, no end marker": {whyEnd, kinds(broken, whole)},
		"no reason to end":         {whyReason, []difference{{"finish", "stop", ""}}},
		"no count":                 {whyCount, []difference{{"tokens", "about 5/5", "nothing"}}},
		"JSON instead of a stream": {whyType, kinds(unavailable, whole)},
		"a page instead":           {whyType, kinds(unavailable, whole)},
		"surrogates in two chunks": {whySurrogate, []difference{{"text", "😀", "\ufffd\ufffd"}}},
		"lines end with CR": {whyLineEnd, []difference{
			{"finish", "stop", ""}, {"text", "Hello there, you!", ""}, {"tokens", "8/5", "nothing"},
		}},
	}
	switch wire {
	case faulty.OpenAI:
		maps.Copy(all, knownOfOpenAI())
	case faulty.Anthropic:
		maps.Copy(all, knownOfAnthropic())
	case faulty.Gemini:
		maps.Copy(all, knownOfGemini())
	}
	return all
}

func kinds(ours, theirs kind) []difference {
	return []difference{{"kind", string(ours), string(theirs)}}
}

func knownOfOpenAI() map[string]known {
	return map[string]known{
		"only [DONE]":                  {"ours takes an end with nothing before it for a vendor that broke", kinds(broken, whole)},
		"no line end behind [DONE]":    {whyHalfLine, kinds(broken, whole)},
		"something else behind [DONE]": {"the library looks at the first letters of the event alone", kinds(broken, whole)},
		"a line of 2 MiB":              {whyLong, kinds(broken, whole)},
		"lone surrogate, escape":       {whySwallow, []difference{{"text", "\ufffdA", "\ufffd"}}},
		"bytes that are no UTF-8":      {whyUTF8, []difference{{"text", "a\ufffd\ufffd\ufffdb", "a\xff\xc0\xafb"}}},
		"byte order mark":              {"the standard of event streams passes over the mark; the library loses the first event with it", []difference{{"text", "a", ""}}},
		"content of another type":      {"ours takes strings alone for text", []difference{{"text", "a", "a17"}}},
		"content in parts":             {whyParts, []difference{{"text", "abc", `[{"type":"text","text":"a"},{"type":"text","text":"b"}]c`}}},
		"thinking in parts": {whyParts, []difference{
			{"reasoning", "hm", ""}, {"text", "a", `[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]a`},
		}},
		"parts of an unknown kind": {"an answer whose content ours cannot read is not an empty one; " + whyParts, []difference{
			{"kind", "broken", "whole"}, {"text", "", `[{"type":"tea","tea":"a"}]`},
		}},
		"ends with model_length":       {whyWord, []difference{{"finish", "length", "stop"}}},
		"ends with max_tokens":         {whyWord, []difference{{"finish", "length", "stop"}}},
		"ends with safety":             {whyWord, kinds(rejected, whole)},
		"ends with abort":              {whyWord, kinds(broken, whole)},
		"ends with error":              {whyWord, kinds(broken, whole)},
		"ends for want of resources":   {whyWord, kinds(broken, whole)},
		"the same key twice":           {"JSON gives no meaning to it: ours says both, the library the first", []difference{{"text", "ab", "a"}}},
		"an error that is null":        {"no error is no error; the library gives up at the key", []difference{{"kind", "whole", "broken"}, {"text", "a", ""}}},
		"an error that is a string":    {whyErrorText, kinds(unavailable, broken)},
		"an error by its event's name": {"the library does not look at the names of events", kinds(broken, whole)},
		"an error of older servers":    {"a bare error object, which vLLM and others send; the library reads it as a chunk without choices", kinds(limited, whole)},
		"an error with status 200":     {whyType + "; there it finds the error", kinds(limited, whole)},
	}
}

func knownOfAnthropic() map[string]known {
	return map[string]known{
		"only the end":            {"ours takes an end with nothing before it for a vendor that broke, and knows what it asked for", []difference{{"kind", "broken", "whole"}, {"model", "m-1", ""}}},
		"no line end at the end":  {whyHalfLine, kinds(broken, whole)},
		"a line of 2 MiB":         {whyLong, []difference{{"kind", "broken", "whole"}, {"text", "", "a"}}},
		"lone surrogate, escape":  {whySwallow, []difference{{"text", "\ufffdA", "\ufffd"}}},
		"bytes that are no UTF-8": {whyUTF8, []difference{{"text", "a\ufffd\ufffd\ufffdb", "a\xff\xc0\xafb"}}},
		"events behind the end":   {"message_stop is the end for ours; the library reads on", []difference{{"text", "a", "ab"}}},
		"events without their names": {"the name is in the data too, and servers that copy the wire leave the line out; the library passes over such events", []difference{
			{"finish", "stop", ""}, {"text", "a", ""}, {"tokens", "3/2", "nothing"},
		}},
		"an error without its name":   {"the name is in the data too; the library passes over such events", kinds(unavailable, whole)},
		"no message_delta":            {"the answer was never counted: ours says that its count is an estimate", []difference{{"finish", "stop", ""}, {"tokens", "about 3/1", "3/1"}}},
		"the count only at the start": {"the answer was never counted: ours says that its count is an estimate", []difference{{"tokens", "about 3/1", "3/1"}}},
	}
}

func knownOfGemini() map[string]known {
	return map[string]known{
		"no reason to end":         {"finishReason is this wire's only end: " + whyEnd, kinds(broken, whole)},
		"text behind the end":      {"text behind a finishReason takes the end back: more may be missing", kinds(broken, whole)},
		"no line end at the end":   {whyHalfLine, kinds(broken, whole)},
		"a line of 2 MiB":          {whyLong, kinds(broken, whole)},
		"JSON instead of a stream": {whyType, kinds(unavailable, broken)},
		"a page instead":           {whyType, kinds(unavailable, broken)},
		"lines end with CR":        {whyLineEnd, []difference{{"kind", "whole", "broken"}, {"text", "Hello there, you!", ""}}},
		"signs of life":            {"the standard of event streams has comments; the library takes one for a broken chunk", []difference{{"kind", "whole", "broken"}, {"text", "Hello there, you!", ""}}},
		"a count of nothing":       {"the wire leaves a zero out: with text said, ours takes it for an answer that was not counted", []difference{{"tokens", "about 0/5", "0/0"}}},
		"an error in a list":       {"Google's servers wrap the errors of some paths in a list; the library does not look into it", kinds(unavailable, broken)},
		"an error, a string":       {whyErrorText, kinds(unavailable, whole)},
		"error: key":               {"a refused key is a bad request here; ours looks at the reason", kinds(badKey, rejected)},
	}
}
