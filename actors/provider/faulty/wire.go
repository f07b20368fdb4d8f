package faulty

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
)

// Wire names a vendor's wire.
type Wire string

// The wires that are spoken here.
const (
	OpenAI    Wire = "openai"
	Anthropic Wire = "anthropic"
	Gemini    Wire = "gemini"
)

// Wires are all of them.
func Wires() []Wire { return []Wire{OpenAI, Anthropic, Gemini} }

// dialect is how one vendor's wire spells what a script says. It holds nothing:
// the same question gets the same bytes.
type dialect interface {
	wire() Wire
	// route tells what a request's path asks for.
	route(r *http.Request, path string) route
	// auth is the header that holds the key, as it came; "" = there is none.
	auth(h http.Header) string
	// objection is why a request with these headers and this query is refused
	// before its body is looked at; nil = it is not. A keyless server minds
	// no missing key.
	objection(r *http.Request, keyless bool) *Fault
	// question reads a request's body.
	question(body []byte) (question, *Fault)
	// stream says a script as events.
	stream(s *Script, a asking) []event
	// alive is a sign of life before an event.
	alive(first bool, end string) string
	lineEnd() string
	// refuse is the status and the error object for a fault.
	refuse(f Fault) (status int, object any)
	// header is what every answer carries.
	header(h http.Header)
	// list is one page of the models' names, as the query wants it.
	list(models []string, query url.Values) (any, *Fault)
}

// route is what a path asks for.
type route struct {
	kind  routeKind
	model string // where the path names it
}

type routeKind int

const (
	routeNone routeKind = iota
	routeAsk
	routeList
)

// question is what the server minds of a body.
type question struct {
	model string
	text  string // the last user message
	usage bool   // the client wants tokens counted
}

// asking is what a stream depends on besides its script.
type asking struct {
	model string
	usage bool
}

// event is one server-sent event.
type event struct {
	name  string // "" = it has none
	data  string // one line
	delta bool   // it says text of the answer
}

func (e event) text(end string) string {
	name := ""
	if e.name != "" {
		name = "event: " + e.name + end
	}
	return name + "data: " + e.data + end + end
}

// comment is a sign of life that every reader of event streams passes over.
func comment(end string) string { return ": alive" + end }

// dialects are asked in this order whose path it is.
func dialects() []dialect {
	return []dialect{geminiWire{}, anthropicWire{}, openAIWire{}}
}

func dialectOf(w Wire) dialect {
	for _, d := range dialects() {
		if d.wire() == w {
			return d
		}
	}
	return nil
}

// encode is JSON as vendors write it, without escapes for HTML.
func encode(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // the wires' own structs only: strings and numbers
	}
	return string(bytes.TrimRight(b.Bytes(), "\n"))
}

// texts is a content that is a string or a list of parts with a text.
type texts string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(b []byte) error {
	var plain string
	if json.Unmarshal(b, &plain) == nil {
		*t = texts(plain)
		return nil
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	for _, p := range parts {
		*t += texts(p.Text)
	}
	return nil
}

// message is one turn of the openai and the anthropic wire.
type message struct {
	Role    string `json:"role"`
	Content texts  `json:"content"`
}

func lastOfUser(messages []message) string {
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role == "user" {
			return string(messages[i].Content)
		}
	}
	return ""
}

// notJSON refuses a body that cannot be read.
func notJSON() *Fault {
	return &Fault{Status: http.StatusBadRequest, Message: "The body is no JSON of the expected shape: send the request as the reference says."}
}
