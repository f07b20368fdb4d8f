package protocol

import "strconv"

// Append writes the frame as one JSON object, with exactly the fields of the
// contract, and returns the longer dst. It allocates only where dst is too
// small. Text is copied as it is: whoever sets it vouches that it is escaped.
//
// An error has the small shape where it belongs to no turn: not Named, without
// ID and without For. An error with For never shows an id, so that no client
// takes it for the end of a turn. A Code that is not on the list is written as
// INTERNAL.
func (f *Frame) Append(dst []byte) []byte {
	switch f.Type {
	case TypeChunk:
		return f.appendChunk(dst)
	case TypeSnapshot:
		return f.appendSnapshot(dst)
	case TypeReasoning:
		dst = append(dst, `{"type":"reasoning"`...)
		dst = textMember(dst, `,"id":"`, f.ID)
		dst = append(append(dst, `,"content":"`...), f.Text...)
		return append(dst, `"}`...)
	case TypeComplete:
		return f.appendComplete(dst)
	case TypeCancelled:
		return f.appendCancelled(dst)
	case TypeError:
		return f.appendError(dst)
	case TypeAccepted:
		dst = append(dst, `{"type":"accepted"`...)
		dst = textMember(dst, `,"id":"`, f.ID)
		dst = textMember(dst, `,"run_id":"`, f.RunID)
		return append(dst, '}')
	case TypeStatus:
		dst = append(dst, `{"type":"status"`...)
		dst = textMember(dst, `,"id":"`, f.ID)
		dst = append(AppendEscapedString(append(dst, `,"state":"`...), f.State), '"')
		if f.Position > 0 {
			dst = strconv.AppendInt(append(dst, `,"position":`...), int64(f.Position), 10)
		}
		return append(dst, '}')
	case TypeReconnect:
		dst = append(dst, `{"type":"reconnect","after_ms":`...)
		dst = strconv.AppendInt(dst, int64(f.AfterMS), 10)
		return append(dst, '}')
	default: // pong; a type of which nothing more is known is still JSON
		dst = AppendEscapedString(append(dst, `{"type":"`...), string(f.Type))
		return append(dst, `"}`...)
	}
}

// AppendHTTPError writes e as the body of an HTTP error: the error frame of a
// named turn, without id.
func AppendHTTPError(dst []byte, e *Error) []byte {
	f := Frame{Type: TypeError, Named: true, Code: e.Code, Message: e.Message, RetryAfter: e.RetryAfter}
	return f.Append(dst)
}

func (f *Frame) appendChunk(dst []byte) []byte {
	dst = append(dst, `{"type":"chunk"`...)
	if f.Named {
		dst = textMember(dst, `,"id":"`, f.ID)
		dst = strconv.AppendUint(append(dst, `,"seq":`...), f.Seq, 10)
		if f.From > 0 {
			dst = strconv.AppendUint(append(dst, `,"from":`...), f.From, 10)
		}
	}
	dst = append(dst, `,"content":"`...)
	dst = append(dst, f.Text...)
	return append(dst, `"}`...)
}

func (f *Frame) appendSnapshot(dst []byte) []byte {
	dst = append(dst, `{"type":"snapshot"`...)
	dst = f.appendNames(dst)
	dst = append(dst, `,"content":"`...)
	dst = append(dst, f.Text...)
	return append(dst, `"}`...)
}

func (f *Frame) appendComplete(dst []byte) []byte {
	dst = append(dst, `{"type":"complete"`...)
	if !f.Named {
		return append(f.appendFullResponse(dst), '}')
	}
	dst = f.appendFullResponse(f.appendNames(dst))
	dst = AppendEscapedString(append(dst, `,"finish_reason":"`...), f.Finish)
	dst = AppendEscapedString(append(dst, `","provider":"`...), f.Provider)
	dst = AppendEscapedString(append(dst, `","model":"`...), f.Model)
	dst = append(dst, '"')
	if f.Attempts > 0 {
		dst = strconv.AppendInt(append(dst, `,"attempts":`...), int64(f.Attempts), 10)
	}
	dst = f.Usage.append(dst)
	dst = textMember(dst, `,"session_id":"`, f.Session)
	return append(dst, '}')
}

func (f *Frame) appendCancelled(dst []byte) []byte {
	dst = append(dst, `{"type":"cancelled"`...)
	if !f.Named {
		return append(f.appendFullResponse(dst), '}')
	}
	dst = f.appendFullResponse(f.appendNames(dst))
	dst = f.Usage.append(dst)
	dst = textMember(dst, `,"session_id":"`, f.Session)
	return append(dst, '}')
}

func (f *Frame) appendError(dst []byte) []byte {
	info := Lookup(f.Code)
	dst = append(dst, `{"type":"error"`...)
	if !f.Named && f.ID == "" && f.For == "" {
		dst = AppendEscapedString(append(dst, `,"message":"`...), f.Message)
		dst = append(append(dst, `","code":"`...), info.Code...)
		dst = f.appendRetryAfter(append(dst, '"'))
		return append(dst, '}')
	}
	if f.For != "" {
		dst = textMember(dst, `,"for":"`, f.For)
	} else {
		dst = textMember(dst, `,"id":"`, f.ID)
	}
	dst = textMember(dst, `,"run_id":"`, f.RunID)
	dst = append(append(dst, `,"code":"`...), info.Code...)
	dst = AppendEscapedString(append(dst, `","message":"`...), f.Message)
	dst = strconv.AppendBool(append(dst, `","retryable":`...), info.Retryable)
	dst = f.appendRetryAfter(dst)
	if f.Text != nil {
		dst = append(append(dst, `,"partial":"`...), f.Text...)
		dst = append(dst, '"')
	}
	dst = textMember(dst, `,"session_id":"`, f.Session)
	return append(dst, '}')
}

// appendNames writes what a snapshot and the ends of a named turn begin with.
func (f *Frame) appendNames(dst []byte) []byte {
	dst = textMember(dst, `,"id":"`, f.ID)
	dst = textMember(dst, `,"run_id":"`, f.RunID)
	return strconv.AppendUint(append(dst, `,"seq":`...), f.Seq, 10)
}

func (f *Frame) appendFullResponse(dst []byte) []byte {
	dst = append(dst, `,"full_response":"`...)
	dst = append(dst, f.Text...)
	return append(dst, '"')
}

func (f *Frame) appendRetryAfter(dst []byte) []byte {
	if f.RetryAfter <= 0 {
		return dst
	}
	return strconv.AppendInt(append(dst, `,"retry_after":`...), int64(f.RetryAfter), 10)
}

// append writes the usage as a further member; nothing where none is known.
func (u *Usage) append(dst []byte) []byte {
	if u == nil {
		return dst
	}
	dst = strconv.AppendInt(append(dst, `,"usage":{"input_tokens":`...), int64(u.InputTokens), 10)
	dst = strconv.AppendInt(append(dst, `,"output_tokens":`...), int64(u.OutputTokens), 10)
	dst = strconv.AppendBool(append(dst, `,"estimated":`...), u.Estimated)
	return append(dst, '}')
}

// textMember appends a member that is left out where it is empty. lead is
// everything up to and with the opening quote of the value.
func textMember(dst []byte, lead, value string) []byte {
	if value == "" {
		return dst
	}
	dst = AppendEscapedString(append(dst, lead...), value)
	return append(dst, '"')
}
