// Package web holds what browsers are given: the pages, the browser client and
// what they need, embedded. It knows files, no requests: the transport serves
// them.
//
// Pages ask for their files under an address that holds a hash of all of them,
// so that a file may be kept for ever and no page meets the files of another
// version. Three files have addresses that stay, because foreign pages name
// them: troupe.js, its types, and embed.js.
//
// A Site is immutable and safe for use by many goroutines. A file is
// compressed when it is first asked for, once.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"path"
	"strings"
)

//go:embed index.html product.html status.html embed.js
//go:embed client/troupe.js client/troupe.d.ts lib page product status style third_party
var files embed.FS

// The marks that are filled in. Those of a product stand inside attribute values.
const (
	markAssets      = "%ASSETS%"
	markProductID   = "%PRODUCT_ID%"
	markProductName = "%PRODUCT_NAME%"
)

// Prefix is where files are served: Prefix + version + "/" + name.
const Prefix = "/assets/"

// Policy is the content security policy of every page. Only the sanitiser
// makes HTML, which browsers with Trusted Types enforce; its policy is the one
// that DOMPurify brings. The policy "troupe" (lib/highlight.js) makes the
// address of the highlighter's worker and no other.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify troupe"

// Site is all of it, ready to be served.
type Site struct {
	version string
	assets  map[string]*File
	stable  map[string]*File
	index   *File
	status  *File
	product []byte // its own marks are still in it
}

// New reads the embedded files. It fails only where they are not whole.
func New() (*Site, error) { return newSite(files) }

func newSite(tree fs.FS) (*Site, error) {
	s := &Site{assets: map[string]*File{}, stable: map[string]*File{}}
	sum := sha256.New()
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s\x00%d\x00", name, len(content))
		sum.Write(content)
		if path.Dir(name) == "." {
			return nil // a page: it is filled in below, once the version is known
		}
		f, err := newFile(name, content)
		s.assets[name] = f
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	s.version = hex.EncodeToString(sum.Sum(nil)[:8])
	return s, s.fill(tree)
}

// fill puts the address of the files into the pages and the loader.
func (s *Site) fill(tree fs.FS) error {
	filled := func(name string) []byte {
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return nil
		}
		return bytes.ReplaceAll(content, []byte(markAssets), []byte(Prefix+s.version))
	}
	var err1, err2, err3 error
	s.index, err1 = newFile("index.html", filled("index.html"))
	s.status, err2 = newFile("status.html", filled("status.html"))
	s.stable["embed.js"], err3 = newFile("embed.js", filled("embed.js"))
	s.product = filled("product.html")
	s.stable["troupe.js"], s.stable["troupe.d.ts"] = s.assets["client/troupe.js"], s.assets["client/troupe.d.ts"]
	if s.stable["troupe.js"] == nil || s.stable["troupe.d.ts"] == nil {
		return errors.New("web: client/troupe.js or client/troupe.d.ts is missing")
	}
	if !bytes.Contains(s.product, []byte(markProductID)) || !bytes.Contains(s.product, []byte(markProductName)) {
		return errors.New("web: product.html has lost a mark")
	}
	return errors.Join(err1, err2, err3)
}

// Index is the chat page.
func (s *Site) Index() *File { return s.index }

// Status is the operators' page.
func (s *Site) Status() *File { return s.status }

// Product makes the page of a product. id and name may hold anything.
func (s *Site) Product(id, name string) []byte {
	fill := strings.NewReplacer(markProductID, html.EscapeString(id), markProductName, html.EscapeString(name))
	return []byte(fill.Replace(string(s.product)))
}

// Asset is a file by its name; current is false for another version's address,
// whose answer must not be kept: pages and files may come from two servers
// while a new version is rolled out.
func (s *Site) Asset(version, name string) (f *File, current bool) {
	return s.assets[name], version == s.version
}

// Stable is one of the files whose address stays, or nil.
func (s *Site) Stable(name string) *File { return s.stable[name] }
