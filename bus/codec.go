package bus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// encode is JSON without HTML escaping, which would make a text of `<` six
// times its size.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("%w: %T", ErrMalformed, v)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// DecodeJob reads a job and checks the words that will become subjects.
func DecodeJob(data []byte) (*Job, error) {
	j := new(Job)
	if json.Unmarshal(data, j) != nil || len(j.Messages) == 0 || j.Messages[0] != '[' {
		return nil, malformed("job")
	}
	if !validToken(j.Job) || !validToken(j.Gateway) || !validToken(j.Provider) || len(j.Model) > maxModel {
		return nil, malformed("job")
	}
	return j, nil
}

// DecodeReply reads an answer of a worker.
func DecodeReply(data []byte) (*Reply, error) {
	r := new(Reply)
	if json.Unmarshal(data, r) != nil || !knownReply(r) {
		return nil, malformed("reply")
	}
	return r, nil
}

func knownReply(r *Reply) bool {
	switch r.Type {
	case ReplyAccepted:
		return validRun(r.Run) && validToken(r.Worker)
	case ReplyFound:
		return validRun(r.Run)
	case ReplyBusy, ReplyRefused, ReplyMissing:
		return true
	}
	return false
}

// validRun tells whether a run_id can be shown as it is: in a log, in a line of
// an event stream, in an address.
func validRun(s string) bool {
	if s == "" || len(s) > maxRunID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' || c == ':') {
			return false
		}
	}
	return true
}

// plainName tells whether a provider's name can stand in a log line.
func plainName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

const (
	maxRunID  = 128
	maxName   = 64
	maxOffers = 256 // providers of one worker
	maxRests  = 256 // of one of them
	maxModel  = 256
)

// DecodeControl reads a word to a run and checks the gateway it comes from.
func DecodeControl(data []byte) (*Control, error) {
	c := new(Control)
	if json.Unmarshal(data, c) != nil || !validToken(c.Gateway) || !knownControl(c.Type) ||
		c.Type == ControlWithdraw && !validToken(c.Job) {
		return nil, malformed("control")
	}
	return c, nil
}

func knownControl(t string) bool {
	switch t {
	case ControlKey, ControlRelease, ControlCancel, ControlGone, ControlResume, ControlAck, ControlFind, ControlWithdraw, ControlProbe:
		return true
	}
	return false
}

// DecodeBeat reads a beat.
func DecodeBeat(data []byte) (*Beat, error) {
	b := new(Beat)
	if json.Unmarshal(data, b) != nil || !validToken(b.ID) || (b.Role != RoleWorker && b.Role != RoleGateway) {
		return nil, malformed("beat")
	}
	if len(b.Providers) > maxOffers {
		return nil, malformed("beat")
	}
	for i := range b.Providers {
		if o := &b.Providers[i]; !plainName(o.Name) || len(o.Rests) > maxRests || slices.ContainsFunc(o.Rests, Rest.tooLong) {
			return nil, malformed("beat")
		}
	}
	return b, nil
}

// tooLong tells what would fill the memory of who believes it.
func (r Rest) tooLong() bool {
	return len(r.Model) > maxModel || len(r.Key) > maxName || len(r.Why) > maxName
}

// malformed names the kind and nothing of the message: what JSON's own errors
// quote may be a user's.
func malformed(kind string) error { return fmt.Errorf("%w: %s", ErrMalformed, kind) }
