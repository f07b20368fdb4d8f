package providertest

import "github.com/troupe-chat/troupe/actors/provider/faulty"

// Script is one answer. The zero value is an empty, orderly answer.
type Script faulty.Script

// Say is an orderly answer of these chunks.
func Say(deltas ...string) Script { return Script(faulty.Say(deltas...)) }

// Refuse is an answer with this status, in the wire's own words.
func Refuse(status int) Script { return Script(faulty.Refuse(status)) }

// Stream is the whole event stream that the script says on the openai wire to a
// question for model, as bytes.
func (s *Script) Stream(model string) []byte { return s.StreamOn(faulty.OpenAI, model) }

// StreamOn is Stream on another wire.
func (s *Script) StreamOn(w faulty.Wire, model string) []byte {
	return (*faulty.Script)(s).Stream(w, model)
}

// ErrorObject is the openai wire's shape of an error.
func ErrorObject(message, kind, code string) string {
	return faulty.ErrorObject(message, kind, code)
}
