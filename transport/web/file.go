package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"sync"
)

// File is one file as it is served. Immutable.
type File struct {
	Type  string // Content-Type
	Plain []byte // not to be changed
	ETag  string // of the plain content, quoted
	gzip  func() []byte
}

// newFile refuses what it has no type for: a browser is never left to guess.
func newFile(name string, content []byte) (*File, error) {
	mime := typeOf(name)
	if mime == "" {
		return nil, fmt.Errorf("%s: no content type is known for files like this", name)
	}
	if len(content) == 0 {
		return nil, fmt.Errorf("%s: is missing or empty", name)
	}
	sum := sha256.Sum256(content)
	return &File{
		Type: mime, Plain: content, ETag: `"` + hex.EncodeToString(sum[:8]) + `"`,
		gzip: sync.OnceValue(func() []byte { return compressed(content) }),
	}, nil
}

func typeOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json":
		return "application/json; charset=utf-8"
	case ".ts", ".txt":
		return "text/plain; charset=utf-8"
	}
	return ""
}

// Gzip is the content compressed, or nil where that saves nothing.
func (f *File) Gzip() []byte { return f.gzip() }

func compressed(content []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil
	}
	_, _ = z.Write(content) // into memory
	_ = z.Close()
	if b.Len() >= len(content) {
		return nil
	}
	return b.Bytes()
}
