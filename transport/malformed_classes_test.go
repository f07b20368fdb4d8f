package transport

import (
	"math/rand/v2"
	"strings"

	"github.com/gobwas/ws"
)

// malformedClass is one way to break RFC 6455 or a bound.
type malformedClass struct {
	name string
	code ws.StatusCode // what the server says at the end
	make func(rng *rand.Rand) []byte
}

// malformedClasses is every way that there is.
func malformedClasses() []malformedClass {
	letters := func(rng *rand.Rand, least, most int) string {
		return strings.Repeat("x", least+rng.IntN(most-least+1))
	}
	one := func(rng *rand.Rand, ops ...ws.OpCode) ws.OpCode { return ops[rng.IntN(len(ops))] }
	known := []ws.OpCode{ws.OpText, ws.OpPing, ws.OpPong, ws.OpClose}
	controls := []ws.OpCode{ws.OpPing, ws.OpPong, ws.OpClose}
	broken := []string{"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x28\xa1", "\xf8\x88\x80\x80\x80"}
	half := []string{"\xc3", "\xe2\x82", "\xf0\x9f\x98"}
	return []malformedClass{
		{"reserved bits", 1002, func(rng *rand.Rand) []byte {
			f := masked(one(rng, known...), true, letters(rng, 0, 20))
			f[0] |= byte(1+rng.IntN(7)) << 4
			return f
		}},
		{"a reserved opcode", 1002, func(rng *rand.Rand) []byte {
			return masked(one(rng, 3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf), rng.IntN(2) == 0, letters(rng, 0, 20))
		}},
		{"a control frame in pieces", 1002, func(rng *rand.Rand) []byte { return masked(one(rng, controls...), false, letters(rng, 0, 20)) }},
		{"a control frame that is too long", 1002, func(rng *rand.Rand) []byte { return masked(one(rng, controls...), true, letters(rng, 126, 900)) }},
		{"no mask", 1002, func(rng *rand.Rand) []byte {
			return ws.MustCompileFrame(ws.NewFrame(one(rng, known...), true, []byte(letters(rng, 0, 20))))
		}},
		{"text that is no UTF-8", 1007, func(rng *rand.Rand) []byte {
			return masked(ws.OpText, true, letters(rng, 0, 20)+broken[rng.IntN(len(broken))]+letters(rng, 0, 20))
		}},
		{"text that ends inside a character", 1007, func(rng *rand.Rand) []byte {
			return masked(ws.OpText, true, letters(rng, 0, 20)+half[rng.IntN(len(half))])
		}},
		{"pieces that are no UTF-8", 1007, func(rng *rand.Rand) []byte {
			return join(masked(ws.OpText, false, half[rng.IntN(len(half))]), masked(ws.OpContinuation, rng.IntN(2) == 0, "x"))
		}},
		{"a close code that must not be sent", 1002, func(rng *rand.Rand) []byte {
			codes := []int{0, 999, 1004, 1005, 1006, 1015, 1016 + rng.IntN(1984), 5000 + rng.IntN(60000)}
			return masked(ws.OpClose, true, closeBody(ws.StatusCode(codes[rng.IntN(len(codes))]), letters(rng, 0, 20)))
		}},
		{"half a close code", 1002, func(*rand.Rand) []byte { return masked(ws.OpClose, true, "\x03") }},
		{"a close reason that is no UTF-8", 1007, func(rng *rand.Rand) []byte {
			return masked(ws.OpClose, true, closeBody(1000, broken[rng.IntN(len(broken))]))
		}},
		{"a message inside a message", 1002, func(rng *rand.Rand) []byte {
			return join(masked(ws.OpText, false, letters(rng, 0, 20)), masked(one(rng, ws.OpText, ws.OpBinary), rng.IntN(2) == 0, "x"))
		}},
		{"a piece of nothing", 1002, func(rng *rand.Rand) []byte {
			return masked(ws.OpContinuation, rng.IntN(2) == 0, letters(rng, 0, 20))
		}},
		{"a length with its highest bit", 1002, func(rng *rand.Rand) []byte {
			return []byte{finalBit | byte(ws.OpText), 0x80 | len64, 0x80 | byte(rng.IntN(128)), 0, 0, 0, 0, 0, 0, byte(rng.IntN(256)), 1, 2, 3, 4}
		}},
		{"a length above the bound", 1009, func(rng *rand.Rand) []byte {
			return []byte{finalBit | byte(ws.OpText), 0x80 | len64, byte(rng.IntN(128)), 0, 0, 0, 0, byte(1 + rng.IntN(255)), 0, 0, 1, 2, 3, 4}
		}},
		{"pieces above the bound", 1009, func(rng *rand.Rand) []byte {
			return join(masked(ws.OpText, false, letters(rng, 600, 900)), masked(ws.OpContinuation, rng.IntN(2) == 0, letters(rng, 500, 900)))
		}},
		{"too many pieces", 1008, func(*rand.Rand) []byte {
			all := masked(ws.OpText, false, "")
			for range maxFragments {
				all = append(all, masked(ws.OpContinuation, false, "")...)
			}
			return all
		}},
		{"a binary message", 1003, func(rng *rand.Rand) []byte { return masked(ws.OpBinary, true, letters(rng, 0, 20)) }},
	}
}

// malformedJSON is text that no request is.
func malformedJSON(rng *rand.Rand) string {
	const whole = `{"type":"chat","id":"t1","content":"Hello \u00e4\n","provider":"echo","messages":[{"role":"user","content":"a"}],"temperature":0.5,"repeat":true}`
	wrong := []string{
		"", " ", "[]", "null", "17", `"chat"`, "{}", `{"type":null}`, `{"type":5}`, `{"Type":"chat"}`, `{"type":"chat"}`, `{'type':'chat'}`,
		`{"type":"chat","content":7}`, `{"type":"chat","content":[]}`, `{"type":"chat","content":" \n"}`, `{"type":"chat","content":"\x"}`,
		`{"type":"chat","content":"\ud8"}`, `{"type":"chat","content":"x","temperature":1e400}`, `{"type":"chat","content":"x","max_tokens":-1}`,
		`{"type":"chat","content":"x","messages":{}}`, `{"type":"chat","content":"x","messages":[null]}`, `{"type":"chat","content":"x","api_keys":{"a":1}}`,
		`{"type":"chat","content":"x","on_disconnect":"stay"}`, `{"type":"chat","content":"x","client_key":""}`, `{"type":"cancel","id":["1"]}`,
		`{"type":"resume","run_id":"r","after":-1}`, `{"type":"resume","run_id":"r","after":18446744073709551616}`, `{"a":1e999}`, "{\"type\":\"ping\x00\"}",
	}
	switch rng.IntN(8) {
	case 0:
		return whole[:1+rng.IntN(len(whole)-1)] // breaks off
	case 1:
		at := 1 + rng.IntN(len(whole)-2)
		return whole[:at] + "\x01" + whole[at:] // a control character is nowhere allowed
	case 2:
		return whole + strings.Repeat("}", 1+rng.IntN(9))
	case 3:
		return strings.Repeat(`{"a":`, 1+rng.IntN(150))
	case 4:
		return strings.Repeat("[", 1+rng.IntN(900))
	case 5: // deeper than a message may be
		n := 40 + rng.IntN(200)
		return `{"type":"ping","a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}"
	case 6: // of no type that there is; pong is the server's
		return `{"type":"` + strings.Repeat("p", 1+rng.IntN(60)) + `"}`
	default:
		return wrong[rng.IntN(len(wrong))]
	}
}
