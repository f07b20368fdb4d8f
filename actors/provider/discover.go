package provider

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/tidwall/gjson"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Bounds of a vendor's list of models. Where it goes on behind them, the rest is
// left out.
const (
	maxListPages = 20
	maxListPage  = 4 << 20 // bytes
	maxListed    = 512     // names
	maxPageName  = 4 << 10 // bytes of the word that asks for the next page
	listTime     = 10 * time.Second
)

var (
	errListTooLong = errors.New("a page of the list is longer than 4 MiB")
	errPageName    = errors.New("the name of the next page is longer than 4 KiB")
	errNoList      = errors.New("the answer is an error, or no JSON object")
)

// Lister is a Provider that can tell which models there are.
type Lister interface {
	// Models asks the vendor, with this key or none, and blocks for at most
	// ten seconds. The names are plain, sorted, each there once, and at most
	// 512; there may be none. Every error is a *protocol.Error like those of
	// Stream.
	Models(ctx context.Context, key protocol.Secret) ([]string, error)
}

// Models implements Lister. Like Stream it follows no redirect.
func (p *vendor) Models(ctx context.Context, key protocol.Secret) ([]string, error) {
	if _, err := p.checkKey(key); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, listTime, &protocol.Error{
		Code: protocol.ProviderTimeout, Message: p.say("did not list its models in time: ask again in a moment."),
	})
	defer cancel()
	var names []string
	told := finder(key) // every client sees the list
	page := ""
	for range maxListPages {
		root, err := p.listPage(ctx, p.wire.models(page), key)
		if err != nil {
			return nil, err
		}
		ids, next := p.wire.listed(root)
		names = addNames(names, slices.DeleteFunc(ids, told))
		if next == "" || len(names) == maxListed {
			break
		}
		if len(next) > maxPageName {
			return nil, p.noList(key, errPageName)
		}
		page = next
	}
	return names, nil
}

// addNames puts the plain ones of ids into names, which are sorted.
func addNames(names, ids []string) []string {
	for _, id := range ids {
		name := plainModel(gjson.Result{Str: id})
		at, known := slices.BinarySearch(names, name)
		if name != "" && !known && len(names) < maxListed {
			names = slices.Insert(names, at, name)
		}
	}
	return names
}

// listPage asks for one page and reads it.
func (p *vendor) listPage(ctx context.Context, address string, key protocol.Secret) (gjson.Result, error) {
	ex := newExchange(ctx)
	defer ex.end()
	req, err := http.NewRequestWithContext(ex.ctx, http.MethodGet, address, nil)
	if err != nil {
		return gjson.Result{}, p.noList(key, err)
	}
	req.Header.Set("Accept", "application/json")
	p.sign(req, key)
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		_, err = p.unreachable(ctx, ex, "", key, err)
		return gjson.Result{}, err
	}
	ex.begin(resp)
	if resp.StatusCode != http.StatusOK {
		return gjson.Result{}, p.listRefused(ctx, ex, key)
	}
	body, err := io.ReadAll(io.LimitReader(ex, maxListPage+1))
	switch {
	case ctx.Err() != nil:
		return gjson.Result{}, stopped(ctx)
	case err != nil:
		return gjson.Result{}, p.noList(key, err)
	case len(body) > maxListPage:
		return gjson.Result{}, p.noList(key, errListTooLong)
	}
	root, err := parseObject(bytes.TrimSpace(body))
	if err != nil || root.Get("error").IsObject() {
		return gjson.Result{}, p.noList(key, errNoList)
	}
	return root, nil
}

// listRefused puts a refusal into our words. What Stream says of a question that
// is refused would not help here.
func (p *vendor) listRefused(ctx context.Context, ex *exchange, key protocol.Secret) error {
	text, whole := ex.refusal()
	if ctx.Err() != nil {
		return stopped(ctx)
	}
	_, told := p.refused(ex.resp, refusal{body: text, whole: whole, key: key})
	if told.Code == protocol.ProviderRejected || told.Code == protocol.UnknownModel {
		return p.noList(key, told.Err)
	}
	return told
}

// noList is a vendor that has no list of models, or one that cannot be read.
func (p *vendor) noList(key protocol.Secret, err error) *protocol.Error {
	return &protocol.Error{
		Code:    protocol.ProviderUnavailable,
		Message: p.say("gave no list of its models: the operator should name them in providers.{name}.models instead of providers.{name}.discover, or check providers.{name}.base_url."),
		Err:     errors.New(redact(err.Error(), key)),
	}
}
