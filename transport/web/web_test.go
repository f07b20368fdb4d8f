package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func tree(change ...string) fstest.MapFS {
	t := fstest.MapFS{}
	for name, content := range map[string]string{
		"index.html":         `<link href="%ASSETS%/style/base.css">`,
		"status.html":        "status",
		"product.html":       `<body data-id="%PRODUCT_ID%" data-name="%PRODUCT_NAME%"><script src="%ASSETS%/product/page.js">`,
		"embed.js":           `import("%ASSETS%/product/widget.js")`,
		"client/troupe.js":   strings.Repeat("export class Troupe {}\n", 50),
		"client/troupe.d.ts": "export class Troupe {}",
		"style/base.css":     "a",
	} {
		t[name] = &fstest.MapFile{Data: []byte(content)}
	}
	for i := 0; i < len(change); i += 2 {
		if change[i+1] == "" {
			delete(t, change[i])
			continue
		}
		t[change[i]] = &fstest.MapFile{Data: []byte(change[i+1])}
	}
	return t
}

func TestVersionFollowsEveryFile(t *testing.T) {
	first, err := newSite(tree())
	require.NoError(t, err)
	same, err := newSite(tree())
	require.NoError(t, err)
	require.Equal(t, first.version, same.version)
	seen := map[string]bool{first.version: true}
	for _, change := range [][]string{{"style/base.css", "b"}, {"style/more.css", "a"}, {"status.html", "other"}, {"embed.js", "x"}, {"style/base.css", "", "style/case.css", "a"}} {
		s, err := newSite(tree(change...))
		require.NoError(t, err)
		require.False(t, seen[s.version], change)
		seen[s.version] = true
	}
	require.Equal(t, `<link href="/assets/`+first.version+`/style/base.css">`, string(first.Index().Plain))
	require.Equal(t, `import("/assets/`+first.version+`/product/widget.js")`, string(first.Stable("embed.js").Plain))
	require.Same(t, first.assets["client/troupe.js"], first.Stable("troupe.js"))
	require.Nil(t, first.Stable("index.html"))
}

func TestAssetsOfOtherVersions(t *testing.T) {
	s, err := newSite(tree())
	require.NoError(t, err)
	f, current := s.Asset(s.version, "style/base.css")
	require.True(t, current)
	require.Equal(t, "text/css; charset=utf-8", f.Type)
	other, current := s.Asset("0000000000000000", "style/base.css")
	require.False(t, current)
	require.Same(t, f, other)
	for _, name := range []string{"", "index.html", "embed.js", "../web.go", "style", "style/", "style/../style/base.css", "STYLE/base.css"} {
		f, _ := s.Asset(s.version, name)
		require.Nil(t, f, name)
	}
}

func TestProductIsEscaped(t *testing.T) {
	s, err := newSite(tree())
	require.NoError(t, err)
	got := string(s.Product(`11"><script>`, `%PRODUCT_ID% <b> & 'x' %ASSETS%`))
	require.Contains(t, got, `data-id="11&#34;&gt;&lt;script&gt;" data-name="%PRODUCT_ID% &lt;b&gt; &amp; &#39;x&#39; %ASSETS%"`)
	require.Contains(t, got, `src="/assets/`+s.version+`/product/page.js"`)
}

func TestBrokenTreesAreNamed(t *testing.T) {
	for _, tt := range []struct {
		change []string
		want   string
	}{
		{[]string{"index.html", ""}, "index.html"},
		{[]string{"status.html", ""}, "status.html"},
		{[]string{"embed.js", ""}, "embed.js"},
		{[]string{"client/troupe.js", ""}, "client/troupe.js"},
		{[]string{"product.html", "%PRODUCT_ID%"}, "product.html has lost a mark"},
		{[]string{"page/x.exe", "x"}, "page/x.exe: no content type"},
	} {
		_, err := newSite(tree(tt.change...))
		require.ErrorContains(t, err, tt.want)
	}
}

func TestCompression(t *testing.T) {
	s, err := newSite(tree())
	require.NoError(t, err)
	f := s.Stable("troupe.js")
	r, err := gzip.NewReader(bytes.NewReader(f.Gzip()))
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, f.Plain, plain)
	require.Less(t, len(f.Gzip()), len(f.Plain))
	require.Nil(t, s.assets["style/base.css"].Gzip(), "a byte grows")
}

// From here on: what is really embedded.

func embedded(t *testing.T) *Site {
	t.Helper()
	s, err := New()
	require.NoError(t, err)
	return s
}

// pages are the pages by name, with the product's marks filled in.
func (s *Site) pages() map[string]string {
	return map[string]string{"index.html": string(s.index.Plain), "status.html": string(s.status.Plain), "product.html": string(s.Product("11", "Name"))}
}

// references are the files that a page's own elements name.
func (s *Site) references(t *testing.T, page, pattern string) (names []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(page, -1) {
		name, ok := strings.CutPrefix(m[1], Prefix+s.version+"/")
		require.True(t, ok, "%s is outside the files", m[1])
		require.NotNil(t, s.assets[name], name)
		names = append(names, name)
	}
	return names
}

// importStatement finds static imports and re-exports, each in its own line or compressed.
var importStatement = regexp.MustCompile(`(?:^|[\n;}])\s*(?:import|export)\s*(?:[\w*{}\s,$]+?\s*from\s*)?["'](\.[^"']+)["']`)

// closure is what a module brings along.
func (s *Site) closure(t *testing.T, name string, into map[string]bool) {
	t.Helper()
	if into[name] {
		return
	}
	f := s.assets[name]
	require.NotNil(t, f, name)
	into[name] = true
	for _, m := range importStatement.FindAllStringSubmatch(string(f.Plain), -1) {
		s.closure(t, path.Join(path.Dir(name), m[1]), into)
	}
}

const (
	modules = `<script type="module" src="([^"]+)"`
	preload = `<link rel="modulepreload" href="([^"]+)"`
	styles  = `<link rel="stylesheet" href="([^"]+)"`
	icons   = `<link rel="icon" href="(/[^"]+)"`
	images  = `<img [^>]*src="([^"]+)"`
)

// A page that did not preload a module would wait for it one round trip later;
// one that preloads what nobody imports makes its reader pay for it.
func TestPagesPreloadExactlyWhatTheyImport(t *testing.T) {
	s := embedded(t)
	for name, page := range s.pages() {
		want := map[string]bool{}
		entries := s.references(t, page, modules)
		require.NotEmpty(t, entries, name)
		for _, entry := range entries {
			s.closure(t, entry, want)
		}
		got := s.references(t, page, preload)
		require.ElementsMatch(t, slices.Sorted(maps.Keys(want)), slices.Sorted(slices.Values(append(got, missing(entries, got)...))), name)
	}
}

// missing are the entries that are not preloaded: their script element loads them.
func missing(entries, got []string) (list []string) {
	for _, e := range entries {
		if !slices.Contains(got, e) {
			list = append(list, e)
		}
	}
	return list
}

// The bound is a promise: a first visit loads less than 100 KB.
func TestFirstLoadIsSmall(t *testing.T) {
	s := embedded(t)
	for name, page := range s.pages() {
		size := len(compressed([]byte(page)))
		loaded := map[string]bool{}
		for _, pattern := range []string{modules, preload, styles, icons, images} {
			for _, asset := range s.references(t, page, pattern) {
				loaded[asset] = true
			}
		}
		for asset := range loaded {
			require.NotContains(t, asset, "hljs", "the highlighter is loaded when it is needed")
			f := s.assets[asset]
			if z := f.Gzip(); z != nil {
				size += len(z)
			} else {
				size += len(f.Plain)
			}
		}
		t.Logf("%s: %d files, %.1f KB compressed", name, len(loaded)+1, float64(size)/1000)
		require.Less(t, size, 100_000, name)
	}
}

// The policy would stop all of this in a browser; here it is seen before.
func TestPagesKeepToThePolicy(t *testing.T) {
	s := embedded(t)
	for name, page := range s.pages() {
		require.NotRegexp(t, `(?i)<style|\sstyle=|\son[a-z]+=|javascript:`, page, name)
		require.NotRegexp(t, `<script(?:\s[^>]*)?>[^<]`, page, "%s: inline script", name)
		require.NotRegexp(t, `(?i)(?:src|href)="(?:https?:)?//`, page, "%s: another server", name)
		require.NotContains(t, page, "%ASSETS%")
		require.Contains(t, page, `<html lang="en"`, name)
		require.Contains(t, page, "<noscript>", name)
	}
	for name, f := range s.assets {
		if strings.HasPrefix(name, "third_party/") || path.Ext(name) != ".js" {
			continue
		}
		require.NotRegexp(t, `\.innerHTML\s*=|\.outerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function\(`, string(f.Plain), name)
	}
}

func TestEveryImportIsThere(t *testing.T) {
	s := embedded(t)
	for name := range s.assets {
		if path.Ext(name) == ".js" {
			s.closure(t, name, map[string]bool{})
		}
	}
	all, err := fs.Glob(files, "third_party/LICENSES/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, all, "who vendors names the licences")
}
