package oracle

import (
	"fmt"

	"github.com/troupe-chat/troupe/actors/provider/faulty"
)

// finishAs is the plan's reason to end in a wire's words.
func (p *plan) finishAs(stop, length, filter string) string {
	switch p.finish {
	case faulty.FinishLength:
		return length
	case faulty.FinishFilter:
		return filter
	}
	return stop
}

func (p *plan) openAI() (events []string) {
	chunk := func(choices, more string) {
		events = append(events, p.event("", `{"id":"c","object":"chat.completion.chunk","created":1,"model":"m-1-large","choices":[`+choices+`]`+more+`}`))
	}
	choice := func(delta, finish string) string {
		return `{"index":0,"delta":` + delta + `,"logprobs":null,"finish_reason":` + finish + `}`
	}
	chunk(choice(`{"role":"assistant","content":"","refusal":null}`, "null"), `,"usage":null`)
	field := pick(p.random, "reasoning_content", "reasoning")
	for _, u := range p.said {
		if u.thought {
			chunk(choice(`{"`+field+`":"`+u.body+`"}`, "null"), "")
		} else {
			chunk(choice(`{"content":"`+u.body+`"}`, "null"), `,"obfuscation":"x"`)
		}
	}
	usage := ""
	if p.usage {
		usage = fmt.Sprintf(`,"usage":{"prompt_tokens":%d,"completion_tokens":%d,"completion_tokens_details":{"reasoning_tokens":%d}}`, p.in, p.out, min(p.think, p.out))
	}
	end := choice("{}", `"`+p.finishAs("stop", "length", "content_filter")+`"`)
	if p.random.IntN(2) == 0 {
		chunk(end, usage)
	} else {
		chunk(end, "")
		chunk("", usage)
	}
	return append(events, p.event("", "[DONE]"))
}

func (p *plan) anthropic() (events []string) {
	say := func(kind, rest string) {
		events = append(events, p.event(kind, `{"type":"`+kind+`"`+rest+`}`))
		if p.noise && p.random.IntN(6) == 0 {
			events = append(events, p.event("ping", `{"type":"ping"}`))
		}
	}
	usage := ""
	if p.usage {
		usage = fmt.Sprintf(`,"usage":{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,"output_tokens":1}`, p.in, p.beside/2, p.beside-p.beside/2)
	}
	say("message_start", `,"message":{"id":"m","type":"message","role":"assistant","model":"m-1-large","content":[],"stop_reason":null`+usage+`}`)
	p.anthropicBlocks(say)
	if usage != "" {
		usage = fmt.Sprintf(`,"usage":{"output_tokens":%d}`, p.out)
		if p.random.IntN(2) == 0 {
			usage = fmt.Sprintf(`,"usage":{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,"output_tokens":%d}`, p.in, p.beside/2, p.beside-p.beside/2, p.out)
		}
	}
	say("message_delta", `,"delta":{"stop_reason":"`+p.finishAs("end_turn", "max_tokens", "refusal")+`","stop_sequence":null}`+usage)
	return append(events, p.event("message_stop", `{"type":"message_stop"}`))
}

// anthropicBlocks puts neighbours of one kind into one block, mostly.
func (p *plan) anthropicBlocks(say func(kind, rest string)) {
	index, open, thought := 0, false, false
	closeBlock := func() {
		if open {
			say("content_block_stop", fmt.Sprintf(`,"index":%d`, index))
			index++
		}
	}
	for _, u := range p.said {
		field := "text"
		if u.thought {
			field = "thinking"
		}
		if !open || thought != u.thought || p.random.IntN(8) == 0 {
			closeBlock()
			open, thought = true, u.thought
			say("content_block_start", fmt.Sprintf(`,"index":%d,"content_block":{"type":"%s","%s":""}`, index, field, field))
		}
		say("content_block_delta", fmt.Sprintf(`,"index":%d,"delta":{"type":"%s_delta","%s":"%s"}`, index, field, field, u.body))
	}
	closeBlock()
}

func (p *plan) gemini() (events []string) {
	count := func(more string) string {
		if !p.usage {
			return ""
		}
		return fmt.Sprintf(`,"usageMetadata":{"promptTokenCount":%d,"toolUsePromptTokenCount":%d%s}`, p.in, p.beside, more)
	}
	chunk := func(parts, finish, usage string) {
		events = append(events, p.event("", `{"candidates":[{"content":{"parts":[`+parts+`],"role":"model"}`+finish+`,"index":0}]`+usage+`,"modelVersion":"m-1-large","responseId":"r"}`))
	}
	parts := ""
	for i, u := range p.said {
		if parts != "" {
			parts += ","
		}
		parts += `{"text":"` + u.body + `"`
		if u.thought {
			parts += `,"thought":true`
		}
		parts += "}"
		if i == len(p.said)-1 || p.random.IntN(3) > 0 {
			chunk(parts, "", count(""))
			parts = ""
		}
	}
	last := count(fmt.Sprintf(`,"candidatesTokenCount":%d,"thoughtsTokenCount":%d`, p.out, p.think))
	chunk(`{"text":""}`, `,"finishReason":"`+p.finishAs("STOP", "MAX_TOKENS", "SAFETY")+`"`, last)
	return events
}
