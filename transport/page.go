package transport

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/troupe-chat/troupe/transport/protocol"
	"github.com/troupe-chat/troupe/transport/web"
)

const (
	keepForEver = "public, max-age=31536000, immutable" // the address holds a hash
	askAgain    = "no-cache"                            // kept, and asked for again by its tag
	keepNothing = "no-store"
)

func (s *Server) index(w http.ResponseWriter, r *http.Request) {
	pageHeaders(w.Header())
	serveFile(w, r, s.site.Index(), askAgain)
}

func (s *Server) statusPage(w http.ResponseWriter, r *http.Request) {
	pageHeaders(w.Header())
	serveFile(w, r, s.site.Status(), keepNothing)
}

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
	h := w.Header()
	pageHeaders(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", askAgain)
	_, _ = w.Write(s.site.Product(p.product, name)) // a client that is gone needs no page
}

// asset serves a file of a page. A page of another version, while versions are
// rolled out, gets this one's file rather than none, and is told not to keep it.
func (s *Server) asset(w http.ResponseWriter, r *http.Request, p params) {
	f, current := s.site.Asset(p.version, p.asset)
	if f == nil {
		answerNotFound(w, r)
		return
	}
	forEveryPage(w.Header())
	if !current {
		serveFile(w, r, f, keepNothing)
		return
	}
	serveFile(w, r, f, keepForEver)
}

// stable serves a file that foreign pages name by an address that stays.
func stable(name string) func(*Server, http.ResponseWriter, *http.Request, params) {
	return func(s *Server, w http.ResponseWriter, r *http.Request, _ params) {
		forEveryPage(w.Header())
		serveFile(w, r, s.site.Stable(name), askAgain)
	}
}

func pageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", web.Policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
}

// forEveryPage lets pages of other origins load a file: all of them are public.
func forEveryPage(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

func serveFile(w http.ResponseWriter, r *http.Request, f *web.File, cache string) {
	h := w.Header()
	h.Set("Content-Type", f.Type)
	h.Set("Cache-Control", cache)
	h.Set("ETag", f.ETag)
	h.Add("Vary", "Accept-Encoding")
	if tagged(r.Header.Get("If-None-Match"), f.ETag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := f.Plain
	if z := f.Gzip(); z != nil && takesGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		// Another representation must have another strong tag, so this one is weak (RFC 9110, section 8.8.3).
		h.Set("ETag", "W/"+f.ETag)
		body = z
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that is gone needs no file
}

// tagged compares weakly, as If-None-Match wants it (RFC 9110, section 13.1.2).
func tagged(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}

// takesGzip reads Accept-Encoding (RFC 9110, section 12.5.3): named or by *,
// unless its weight is zero.
func takesGzip(header string) bool {
	any := false
	for one := range strings.SplitSeq(strings.ToLower(header), ",") {
		coding, weight, _ := strings.Cut(one, ";")
		coding = strings.TrimSpace(coding)
		if coding != "gzip" && coding != "x-gzip" && coding != "*" {
			continue
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
		n, err := strconv.ParseFloat(q, 64)
		takes := !found || err == nil && n > 0
		if coding != "*" {
			return takes
		}
		any = takes
	}
	return any
}
