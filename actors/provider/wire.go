package provider

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// wire is one vendor's language: where it is asked, how a question is written
// and what an event of an answer means. A wire is read-only once it is made and
// serves many calls at once; what belongs to one answer is in the answer.
type wire interface {
	// address is where a question to this model goes. The model may be anything
	// a stranger wrote.
	address(model string) string
	// sign puts the key where the vendor looks for it; an empty one nowhere.
	sign(h http.Header, key protocol.Secret)
	// body writes the question.
	body(model string, q *Question) ([]byte, error)
	// take reads one event, whose data is not empty, into the answer. A
	// vendorError says that the vendor gave up.
	take(a *answer, ev event) error
	// models is where the vendor lists its models, from a page on; the first
	// page is "".
	models(page string) string
	// listed reads one page of that list, and names the next one or "".
	listed(root gjson.Result) (ids []string, next string)
}

// encodeBody writes a request without the escapes that HTML needs.
func encodeBody(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// parseObject reads a vendor's JSON object; what is too deep for the recursive
// parser behind it is no object.
func parseObject(data []byte) (gjson.Result, error) {
	if len(data) > deepCheck && tooDeep(data) || !gjson.ValidBytes(data) {
		return gjson.Result{}, errMalformed
	}
	root := gjson.Parse(string(data))
	if !root.IsObject() {
		return gjson.Result{}, errMalformed
	}
	return root, nil
}
