package bus

import (
	"encoding/base64"
	"strconv"
)

// appendJob appends j as JSON. It is the one message that a client waits for, and
// encoding/json would read its messages once more. Messages must be JSON, Job and
// Gateway tokens, and Temperature finite.
func appendJob(dst []byte, j *Job) []byte {
	dst = append(append(dst, `{"job":"`...), j.Job...) // a token: nothing to escape
	dst = append(append(dst, `","gateway":"`...), j.Gateway...)
	dst = strconv.AppendUint(append(dst, `","to":"`...), j.To, 10)
	dst = appendString(append(dst, `","session":"`...), j.Session)
	dst = append(dst, '"')
	dst = appendBytes(dst, `,"client_key":"`, j.ClientKey)
	dst = appendBytes(dst, `,"content":"`, j.Content)
	dst = appendField(dst, `,"name":"`, j.Name)
	dst = appendField(dst, `,"product":"`, j.Product)
	dst = append(appendString(append(dst, `,"provider":"`...), j.Provider), '"')
	dst = appendField(dst, `,"model":"`, j.Model)
	dst = appendField(dst, `,"system":"`, j.System)
	dst = append(append(dst, `,"messages":`...), j.Messages...)
	if j.Temperature != nil {
		dst = strconv.AppendFloat(append(dst, `,"temperature":`...), *j.Temperature, 'g', -1, 64)
	}
	if j.MaxTokens != 0 {
		dst = strconv.AppendInt(append(dst, `,"max_tokens":`...), int64(j.MaxTokens), 10)
	}
	dst = append(appendString(append(dst, `,"on_disconnect":"`...), j.OnDisconnect), '"')
	dst = appendFlag(dst, `,"needs_key":true`, j.NeedsKey)
	dst = appendFlag(dst, `,"reasoning":true`, j.Reasoning)
	dst = appendFlag(dst, `,"movable":true`, j.Movable)
	for i, worker := range j.Avoid {
		key := `,"`
		if i == 0 {
			key = `,"avoid":["`
		}
		dst = append(appendString(append(dst, key...), worker), '"')
	}
	dst = appendFlag(dst, `]`, len(j.Avoid) > 0)
	dst = strconv.AppendInt(append(dst, `,"sent":`...), j.Sent, 10)
	dst = strconv.AppendInt(append(dst, `,"deadline":`...), j.Deadline, 10)
	return append(dst, '}')
}

// appendBytes appends a key that ends in its opening quote and bytes in base64,
// or nothing where there are none.
func appendBytes(dst []byte, key string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	return append(base64.StdEncoding.AppendEncode(append(dst, key...), value), '"')
}

func appendFlag(dst []byte, text string, set bool) []byte {
	if set {
		return append(dst, text...)
	}
	return dst
}
