package bus

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func collect(data string) (events []Event, broken int) {
	broken = DecodeEvents([]byte(data), func(e *Event) { events = append(events, *e) })
	return events, broken
}

func TestEventLine(t *testing.T) {
	cases := []struct {
		name  string
		event Event
		line  string
	}{
		{"chunk", Event{Type: EventChunk, To: 7, Seq: 1, Text: []byte(`a\n<é`)}, `{"type":"chunk","to":"7","seq":1,"text":"a\n<é"}`},
		{"empty chunk", Event{Type: EventChunk, To: 7, Seq: 2}, `{"type":"chunk","to":"7","seq":2,"text":""}`},
		{"status", Event{Type: EventStatus, To: 1, State: "queued"}, `{"type":"status","to":"1","state":"queued"}`},
		{"status of a run", Event{Type: EventStatus, To: 1, Seq: 4, Run: "w-r", State: "streaming"}, `{"type":"status","to":"1","seq":4,"run":"w-r","state":"streaming"}`},
		{"snapshot", Event{Type: EventSnapshot, To: 1, Seq: 9, From: 3, More: true, Text: []byte("x")}, `{"type":"snapshot","to":"1","seq":9,"text":"x","from":3,"more":true}`},
		{"empty snapshot", Event{Type: EventSnapshot, To: 1}, `{"type":"snapshot","to":"1","text":""}`},
		{
			"complete",
			Event{Type: EventComplete, To: 1, Seq: 3, Finish: "stop", Provider: "echo", Model: `m"<`, Usage: &Usage{8, 3, true}},
			`{"type":"complete","to":"1","seq":3,"finish_reason":"stop","provider":"echo","model":"m\"<","usage":{"input_tokens":8,"output_tokens":3,"estimated":true}}`,
		},
		{"end of a run", Event{Type: EventCancelled, To: 1, Seq: 3, Run: "w-r\n<"}, `{"type":"cancelled","to":"1","seq":3,"run":"w-r\n<"}`},
		{"error", Event{Type: EventError, To: 1, Seq: 3, Code: "INTERNAL", Message: "a\x00b", RetryAfter: 5}, `{"type":"error","to":"1","seq":3,"code":"INTERNAL","message":"a\u0000b","retry_after":5}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			line := string(AppendEvent(nil, &c.event))
			require.Equal(t, c.line+"\n", line)
			got, broken := collect(line + line)
			require.Zero(t, broken)
			require.Len(t, got, 2)
			requireSame(t, c.event, got[1])
		})
	}
}

// AppendEvent is written by hand: a field that is added to Event and forgotten
// there would be lost in silence.
func TestEveryFieldOfAnEventTravels(t *testing.T) {
	e := Event{Type: EventSnapshot, Text: []byte("text"), Usage: &Usage{1, 2, true}}
	v := reflect.ValueOf(&e).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if !f.IsZero() {
			continue
		}
		switch f.Kind() {
		case reflect.String:
			f.SetString("word")
		case reflect.Uint64:
			f.SetUint(7)
		case reflect.Int:
			f.SetInt(7)
		case reflect.Bool:
			f.SetBool(true)
		default:
			t.Fatalf("field %s: this test does not know how to fill a %s", v.Type().Field(i).Name, f.Kind())
		}
	}
	got, broken := collect(string(AppendEvent(nil, &e)))
	require.Zero(t, broken)
	requireSame(t, e, got[0])
}

func requireSame(t testing.TB, want, got Event) {
	t.Helper()
	if len(want.Text) == 0 && len(got.Text) == 0 {
		want.Text, got.Text = nil, nil
	}
	require.Empty(t, cmp.Diff(want, got))
}

func TestForeignLinesAreRead(t *testing.T) {
	want := Event{Type: EventChunk, To: 7, Seq: 2, Text: []byte(`<b>\n\"é`)}
	for _, line := range []string{
		`{"seq":2,"text":"<b>\n\"é","to":"7","type":"chunk"}`,
		` { "type" : "chunk", "to":"7" , "seq" : 2, "text":"\u003cb\u003e\u000a\u0022\u00e9" } ` + "\r",
		`{"type":"chunk","to":"7","seq":2,"text":"<b>\n\"é","extra":{"a":[1]}}`,
	} {
		got, broken := collect(line)
		require.Zero(t, broken, line)
		require.Len(t, got, 1)
		requireSame(t, want, got[0])
	}
	got, _ := collect(`{"type":"chunk","to":"7","seq":1,"text":"\ud800x"}`)
	require.Equal(t, "\uFFFDx", string(got[0].Text), "half a surrogate pair is made whole")
	got, _ = collect("{\"type\":\"chunk\",\"to\":\"7\",\"seq\":1,\"text\":\"\xff\"}")
	require.Equal(t, "\uFFFD", string(got[0].Text))
	got, _ = collect(`{"type":"chunk","to":"18446744073709551615","seq":18446744073709551615,"text":""}`)
	require.EqualValues(t, uint64(1<<64-1), got[0].To)
}

func TestBrokenLinesAreSkippedAndCounted(t *testing.T) {
	good := `{"type":"chunk","to":"7","seq":1,"text":"x"}`
	for _, line := range []string{
		`{`, `null`, `[]`, `7`, `"x"`, good + good, good + "x",
		`{"type":"chunk","to":7,"seq":1,"text":"x"}`,
		`{"type":"chunk","to":"07","seq":1,"text":"x"}`,
		`{"type":"chunk","to":"-1","seq":1,"text":"x"}`,
		`{"type":"chunk","to":"18446744073709551616","seq":1,"text":"x"}`,
		`{"type":"chunk","seq":1,"text":"x"}`,
		`{"type":"chunk","to":"7","seq":01,"text":"x"}`,
		`{"type":"chunk","to":"7","seq":-1,"text":"x"}`,
		`{"type":"chunk","to":"7","seq":1,"text":7}`,
		`{"type":"chunk","to":"7","seq":1,"text":"a"b"}`,
		`{"type":"chunk","to":"7","seq":1,"text":"\x"}`,
		`{"type":"chunk","to":"7","seq":1,"text":"\u12"}`,
		"{\"type\":\"chunk\",\"to\":\"7\",\"seq\":1,\"text\":\"a\tb\"}",
		`{"type":"other","to":"7"}`, `{"to":"7"}`,
	} {
		got, broken := collect(good + "\n" + line + "\n\n" + good)
		require.Equal(t, 1, broken, line)
		require.Len(t, got, 2, line)
	}
}

func TestTextPointsIntoTheMessage(t *testing.T) {
	data := []byte(`{"type":"chunk","to":"7","seq":1,"text":"abc"}`)
	var text []byte
	DecodeEvents(data, func(e *Event) { text = e.Text })
	copy(data[len(data)-5:], "xyz")
	require.Equal(t, "xyz", string(text))
	require.Equal(t, len(text), cap(text), "an append must not reach the rest of the message")
}

func TestFastPathDoesNotAllocate(t *testing.T) {
	data := chunks(32, 20)
	var d EventDecoder
	n := 0
	yield := func(*Event) { n++ }
	require.Zero(t, testing.AllocsPerRun(20, func() { d.Decode(data, yield) }))
	buf := make([]byte, 0, 4096)
	e := Event{Type: EventChunk, To: 1, Seq: 2, Text: []byte("hello")}
	require.Zero(t, testing.AllocsPerRun(20, func() { buf = AppendEvent(buf[:0], &e) }))
}

func chunks(n, size int) (data []byte) {
	text := []byte(strings.Repeat("é", size/2))
	for i := range n {
		data = AppendEvent(data, &Event{Type: EventChunk, To: uint64(1000 + i), Seq: uint64(i + 1), Text: text})
	}
	return data
}

func TestAppendText(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain <>& é 😀 \u2028": "plain <>& é 😀 \u2028",
		"\"\\/\b\f\n\r\t\x00\x7f": `\"\\/\u0008\u000c\n\r\t\u0000` + "\x7f",
		"a\xffb\xc3":              "a\uFFFDb\uFFFD",
	} {
		require.Equal(t, want, string(AppendText(nil, []byte(in))))
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("a\"\\\n\x00é😀"))
	f.Add([]byte("\xff\xfe"))
	f.Add([]byte(`\ud83d\ude00`))
	f.Fuzz(func(t *testing.T, text []byte) {
		body := AppendText(nil, text)
		require.True(t, validText(body))
		require.Equal(t, string([]rune(string(text))), unescape(t, body))
		if validText(text) { // judged alike by JSON itself
			unescape(t, text)
		}
	})
}

func unescape(t testing.TB, body []byte) (s string) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(`"`+string(body)+`"`), &s))
	return s
}

// FuzzDecodeEvents also holds the fast path against the generic one: what the
// first accepts, the second reads the same.
func FuzzDecodeEvents(f *testing.F) {
	f.Add([]byte(`{"type":"chunk","to":"7","seq":1,"text":"a\u00e9\ud83d\ude00é"}`))
	f.Add([]byte(`{"type":"chunk","to":"0","seq":0,"text":""}` + "\n\n" + `{"seq":2,"to":"7","type":"chunk","text":"<"}`))
	f.Add([]byte(`{"type":"chunk","to":"18446744073709551615","seq":9999999999999999999,"text":"\\"}`))
	f.Add([]byte(`{"type":"complete","to":"1","seq":3,"usage":{"input_tokens":1,"output_tokens":2,"estimated":true}}` + "\r\n"))
	f.Add([]byte(`{"type":"chunk","to":"7","seq":1,"text":"\ud800"}`))
	f.Add([]byte(`{"type":"chunk","to":"0","seq":0,"text":"\b00é"}`))
	f.Add([]byte(`{"type":"status","to":"1","seq":4,"run":"w-r","state":"streaming"}` + "\n" + `{"type":"chunk","to":"1","seq":5,"text":"x","run":"w-r"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := 0
		broken := DecodeEvents(data, func(e *Event) {
			lines++
			require.True(t, validText(e.Text), "text is safe to splice")
			again := AppendEvent(nil, e)
			require.Equal(t, 1, strings.Count(string(again), "\n"))
			n := 0
			require.Zero(t, DecodeEvents(again, func(got *Event) {
				n++
				if e.Type != EventChunk { // a chunk's stray fields are not passed on
					requireSame(t, *e, *got)
				}
				require.Equal(t, string(e.Text), string(got.Text))
				require.Equal(t, [2]uint64{e.To, e.Seq}, [2]uint64{got.To, got.Seq})
			}))
			require.Equal(t, 1, n)
		})
		require.LessOrEqual(t, lines+broken, 1+strings.Count(string(data), "\n"))
		for line := range strings.SplitSeq(string(data), "\n") {
			requirePathsAgree(t, []byte(line))
		}
	})
}

func requirePathsAgree(t testing.TB, line []byte) {
	t.Helper()
	var fast, generic Event
	if !decodeChunk(line, &fast) {
		return
	}
	require.True(t, decodeLine(line, &generic), "%q", line)
	require.Equal(t, unescape(t, fast.Text), unescape(t, generic.Text))
	fast.Text, generic.Text = nil, nil
	require.Equal(t, generic, fast)
}

func sampleJob() *Job {
	return &Job{
		Job: "j1", Gateway: "g1", To: 7, Session: "s", Provider: "echo", OnDisconnect: "grace",
		Messages: json.RawMessage(`[{"role":"user","content":"<b>"}]`), Sent: 1, Deadline: 2,
	}
}

func TestJobsAreNotHTMLEscaped(t *testing.T) {
	data, err := encode(sampleJob())
	require.NoError(t, err)
	require.Contains(t, string(data), `"content":"<b>"`)
	got, err := DecodeJob(data)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(sampleJob(), got))

	j := sampleJob()
	j.Messages = json.RawMessage(`[secret-text`)
	_, err = encode(j)
	require.ErrorIs(t, err, ErrMalformed)
	require.NotContains(t, err.Error(), "secret-text")
}

func TestDecodeErrorsQuoteNothing(t *testing.T) {
	for _, data := range []string{`{"to":"sk-secret"}`, `sk-secret`, `{"job":"sk-secret.x","gateway":"g","provider":"p","messages":[]}`, ``} {
		_, err := DecodeJob([]byte(data))
		require.ErrorIs(t, err, ErrMalformed)
		require.NotContains(t, err.Error(), "sk-")
	}
}

// TestFinding: what a search for a run says, both ways, and what a job carries
// for it; each left out where it is nothing.
func TestFinding(t *testing.T) {
	key, hash := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	j := sampleJob()
	j.ClientKey, j.Content = key, hash
	requireRoundTrip(t, j, DecodeJob, `"client_key"`, `"content":"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="`)
	requireRoundTrip(t, sampleJob(), DecodeJob)

	find := &Control{Type: ControlFind, Gateway: "g1", To: 7, Session: "s", ClientKey: key, Name: "1 <é>"}
	requireRoundTrip(t, find, DecodeControl, `"type":"find"`, `"client_key"`, `"name":"1 <é>"`)
	find.Name = ""
	requireRoundTrip(t, find, DecodeControl, `"client_key"`)
	requireRoundTrip(t, &Control{Type: ControlProbe, Gateway: "g1", To: 7}, DecodeControl, `"type":"probe"`)
	requireRoundTrip(t, &Control{Type: ControlWithdraw, Gateway: "g1", To: 7, Job: "J1"}, DecodeControl, `"type":"withdraw"`, `"job":"J1"`)

	requireRoundTrip(t, &Reply{Type: ReplyFound, Run: "w-r", Worker: "w", Name: "1", Age: 1500, Over: true, Content: hash},
		DecodeReply, `"age":1500`, `"over":true`, `"content"`)
	requireRoundTrip(t, &Reply{Type: ReplyFound, Run: "w-r", Worker: "w"}, DecodeReply)
	requireRoundTrip(t, &Reply{Type: ReplyMissing, Worker: "w"}, DecodeReply)
}

// requireRoundTrip also looks for the members that must be there; of the new
// ones no other may.
func requireRoundTrip[T any](t testing.TB, v *T, decode func([]byte) (*T, error), members ...string) {
	t.Helper()
	data, err := encode(v)
	require.NoError(t, err)
	got, err := decode(data)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(v, got))
	if len(members) == 0 {
		for _, m := range []string{`"client_key"`, `"age"`, `"over"`, `"content":"A`} {
			require.NotContains(t, string(data), m)
		}
	}
	for _, m := range members {
		require.Contains(t, string(data), m)
	}
}

// TestFindingIsJudged: a search comes from a gateway that can be answered, and
// finds a run that can be named.
func TestFindingIsJudged(t *testing.T) {
	for _, data := range []string{
		`{"type":"find","to":"1","session":"s"}`, `{"type":"find","gateway":"g.*","to":"1"}`, `{"type":"find","gateway":"g","to":1}`,
		`{"type":"find","gateway":"g","to":"1","client_key":"no base64!"}`, `{"type":"find","gateway":"g","to":"1","client_key":7}`,
		`{"type":"withdraw","gateway":"g","to":"1"}`, `{"type":"withdraw","gateway":"g","to":"1","job":"a b"}`,
		`{"type":"probe","to":"1"}`, `{"type":"probe","gateway":"g x","to":"1"}`, `{"type":"seek","gateway":"g","to":"1"}`,
	} {
		_, err := DecodeControl([]byte(data))
		require.ErrorIs(t, err, ErrMalformed, data)
	}
	for _, data := range []string{
		`{"type":"found","age":1}`, `{"type":"found","run":"w r"}`, `{"type":"found","run":"r","age":"1"}`, `{"type":"found","run":"r","age":1.5}`,
		`{"type":"found","run":"r","over":1}`, `{"type":"found","run":"r","content":"!"}`,
	} {
		_, err := DecodeReply([]byte(data))
		require.ErrorIs(t, err, ErrMalformed, data)
	}
}

func FuzzDecodeJob(f *testing.F) {
	data, _ := encode(sampleJob())
	f.Add(data)
	f.Add([]byte(`{"job":"j","gateway":"g","to":"1","provider":"p","messages":[],"client_key":"AQ==","content":"AgI=","name":"1"}`))
	f.Add([]byte(`{"job":"j","gateway":"g.x","provider":"p","messages":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzCodec(t, data, DecodeJob) })
}

func FuzzDecodeReply(f *testing.F) {
	f.Add([]byte(`{"type":"accepted","run":"r","worker":"w"}`))
	f.Add([]byte(`{"type":"refused","code":"INTERNAL","message":"<"}`))
	f.Add([]byte(`{"type":"found","run":"w-r","worker":"w","name":"1","age":1500,"over":true,"content":"AgI="}`))
	f.Add([]byte(`{"type":"found","run":"w-r","age":-1}`))
	f.Add([]byte(`{"type":"missing","worker":"w"}`))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzCodec(t, data, DecodeReply) })
}

func FuzzDecodeControl(f *testing.F) {
	f.Add([]byte(`{"type":"key","run":"r","gateway":"g","to":"1","sealed":"AAEC"}`))
	f.Add([]byte(`{"type":"resume","run":"r","gateway":"g","to":"1","after":4,"client_key":"AA=="}`))
	f.Add([]byte(`{"type":"find","run":"","gateway":"g","to":"1","session":"s","client_key":"AQI=","name":"1"}`))
	f.Add([]byte(`{"type":"probe","run":"","gateway":"g","to":"18446744073709551615"}`))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzCodec(t, data, DecodeControl) })
}

func FuzzDecodeBeat(f *testing.F) {
	f.Add([]byte(`{"role":"worker","id":"w","version":"1","sent":1,"active":0,"capacity":9,"providers":[{"name":"echo","type":"echo","state":"ready","models":["m"]}]}`))
	f.Add([]byte(`{"role":"gateway","id":"g","leaving":true}`))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzCodec(t, data, DecodeBeat) })
}

// fuzzCodec: whatever is accepted can be sent on and reads the same again.
func fuzzCodec[T any](t *testing.T, data []byte, decode func([]byte) (*T, error)) {
	v, err := decode(data)
	if err != nil {
		require.ErrorIs(t, err, ErrMalformed)
		return
	}
	again, err := encode(v)
	require.NoError(t, err)
	w, err := decode(again)
	require.NoError(t, err)
	final, err := encode(w)
	require.NoError(t, err)
	require.Equal(t, string(again), string(final))
}
