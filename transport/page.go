package transport

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"errors"
	"html"
	"net/http"

	"github.com/troupe-chat/troupe/transport/protocol"
)

//go:embed web/index.html
var pageSource []byte // read-only: parts of it are served as they are

// The marks of the page that the server fills in, inside attribute values.
const (
	markProductID   = "%PRODUCT_ID%"
	markProductName = "%PRODUCT_NAME%"
)

// page is the built-in chat page, cut at its marks once. Its script and style
// are allowed by their hashes, so the policy needs no nonce and no unsafe word.
type page struct {
	head, middle, tail []byte
	policy             string
}

func newPage() (*page, error) {
	head, rest, ok1 := bytes.Cut(pageSource, []byte(markProductID))
	middle, tail, ok2 := bytes.Cut(rest, []byte(markProductName))
	script, ok3 := element(pageSource, "script")
	style, ok4 := element(pageSource, "style")
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil, errors.New("transport: web/index.html has lost a mark, its script or its style")
	}
	return &page{head: head, middle: middle, tail: tail, policy: "default-src 'none'; script-src " + hashSource(script) +
		"; style-src " + hashSource(style) + "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}, nil
}

// element returns the content of the only element of that name.
func element(source []byte, name string) ([]byte, bool) {
	_, rest, ok := bytes.Cut(source, []byte("<"+name+">"))
	body, after, closed := bytes.Cut(rest, []byte("</"+name+">"))
	return body, ok && closed && !bytes.Contains(after, []byte("<"+name))
}

func hashSource(content []byte) string {
	sum := sha256.Sum256(content)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (p *page) serve(w http.ResponseWriter, id, name string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	var b bytes.Buffer
	b.Grow(len(pageSource) + len(id) + len(name))
	b.Write(p.head)
	b.WriteString(html.EscapeString(id))
	b.Write(p.middle)
	b.WriteString(html.EscapeString(name))
	b.Write(p.tail)
	_, _ = w.Write(b.Bytes()) // a client that is gone needs no page
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) { s.page.serve(w, "", "") }

func (s *Server) productPage(w http.ResponseWriter, _ *http.Request, p params) {
	if !protocol.ValidLabel(p.product) {
		answerError(w, protocol.NewError(protocol.InvalidProduct, protocol.Lookup(protocol.InvalidProduct).Advice, 0))
		return
	}
	name, ok := s.gw.Product(p.product)
	if !ok {
		answerError(w, protocol.NewError(protocol.ProductNotFound, "There is no such product here.", 0))
		return
	}
	if name == "" {
		name = "Product " + p.product
	}
	s.page.serve(w, p.product, name)
}
