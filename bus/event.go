package bus

import "strconv"

// AppendEvent appends e as one line of JSON, line break included. Keys come in
// the order in which DecodeEvents reads fastest: type, to, seq, text, the rest.
// e.Text is spliced in as it is and must be the body of a JSON string, as
// AppendText makes it.
func AppendEvent(dst []byte, e *Event) []byte {
	dst = append(dst, `{"type":"`...)
	dst = appendString(dst, e.Type)
	dst = append(dst, `","to":"`...)
	dst = strconv.AppendUint(dst, e.To, 10)
	dst = append(dst, '"')
	if e.Seq != 0 {
		dst = strconv.AppendUint(append(dst, `,"seq":`...), e.Seq, 10)
	}
	if len(e.Text) != 0 || e.Type == EventSnapshot || e.Type == EventChunk || e.Type == EventReasoning {
		dst = append(dst, `,"text":"`...)
		dst = append(dst, e.Text...)
		dst = append(dst, '"')
	}
	if e.Type != EventChunk { // a chunk has nothing more to say
		dst = appendRest(dst, e)
	}
	return append(dst, '}', '\n')
}

func appendRest(dst []byte, e *Event) []byte {
	dst = appendField(dst, `,"run":"`, e.Run)
	if e.From != 0 {
		dst = strconv.AppendUint(append(dst, `,"from":`...), e.From, 10)
	}
	if e.More {
		dst = append(dst, `,"more":true`...)
	}
	dst = appendField(dst, `,"state":"`, e.State)
	if e.Position != 0 {
		dst = strconv.AppendInt(append(dst, `,"position":`...), int64(e.Position), 10)
	}
	dst = appendField(dst, `,"finish_reason":"`, e.Finish)
	dst = appendField(dst, `,"provider":"`, e.Provider)
	dst = appendField(dst, `,"model":"`, e.Model)
	if e.Attempts != 0 {
		dst = strconv.AppendInt(append(dst, `,"attempts":`...), int64(e.Attempts), 10)
	}
	if u := e.Usage; u != nil {
		dst = strconv.AppendInt(append(dst, `,"usage":{"input_tokens":`...), int64(u.InputTokens), 10)
		dst = strconv.AppendInt(append(dst, `,"output_tokens":`...), int64(u.OutputTokens), 10)
		dst = strconv.AppendBool(append(dst, `,"estimated":`...), u.Estimated)
		dst = append(dst, '}')
	}
	dst = appendField(dst, `,"code":"`, e.Code)
	dst = appendField(dst, `,"message":"`, e.Message)
	if e.RetryAfter != 0 {
		dst = strconv.AppendInt(append(dst, `,"retry_after":`...), int64(e.RetryAfter), 10)
	}
	if e.Elsewhere {
		dst = append(dst, `,"elsewhere":true`...)
	}
	return dst
}

// appendField appends a key that ends in its opening quote and its value, or
// nothing for an empty value.
func appendField(dst []byte, key, value string) []byte {
	if value == "" {
		return dst
	}
	return append(appendString(append(dst, key...), value), '"')
}

func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
			return AppendText(dst, []byte(s))
		}
	}
	return append(dst, s...)
}
