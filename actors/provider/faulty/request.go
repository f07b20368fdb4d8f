package faulty

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// Bounds of a request.
const (
	maxHeaderBytes = 64 << 10
	maxBodyBytes   = 16 << 20
	requestTime    = 10 * time.Second // of the header, and of the body
)

// Request is one question as it reached the server. Its Header holds the key.
type Request struct {
	Wire   Wire        // "" = no wire has such a path
	Path   string      // without the server's secret segment
	Model  string      // the model asked for
	Text   string      // the last user message
	Header http.Header // as it came; not to be changed
	Body   []byte      // as it came; not to be changed
}

// String says no more than what was asked for: the rest is secret.
func (r Request) String() string { return string(r.Wire) + " " + r.Path }

// GoString is String, or %#v would tell the key.
func (r Request) GoString() string { return r.String() }

// take reads a request whole, or the server would not notice a client that
// leaves. The fault is what to refuse it with; an error means that the client
// is gone.
func take(w http.ResponseWriter, r *http.Request) ([]byte, *Fault, error) {
	conn := http.NewResponseController(w)
	if err := conn.SetReadDeadline(time.Now().Add(requestTime)); err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		return nil, &Fault{Status: http.StatusRequestEntityTooLarge}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return body, nil, conn.SetReadDeadline(time.Time{})
}
