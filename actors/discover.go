package actors

import (
	"context"
	"time"

	"github.com/troupe-chat/troupe/actors/provider"
	"github.com/troupe-chat/troupe/transport/protocol"
)

// Clocks of model discovery.
const (
	discoverAgain = time.Hour        // lists change seldom
	discoverRetry = time.Minute      // after a list that did not come
	discoverLook  = 10 * time.Second // a reload may have switched it on
	discoverFor   = 10 * time.Second // for one list
)

// discover keeps the lists of models that vendors give, until ctx ends: in a
// goroutine of its own, for a vendor may take its time. A panic costs one look.
func (w *Worker) discover(ctx context.Context) {
	type look struct {
		vendor string
		next   time.Time
	}
	looks := map[string]look{}
	w.sys.every(ctx, "discover models", discoverLook, func(now time.Time) {
		for name, s := range w.served {
			setup := s.setup.Load()
			vendor := vendorOf(&setup.Config) // a reload may have gone to another one
			if last := looks[name]; last.vendor == vendor && now.Before(last.next) {
				continue
			}
			looks[name] = look{vendor, now.Add(discoverRetry)} // where it panics
			looks[name] = look{vendor, now.Add(w.list(ctx, s, setup))}
		}
	})
}

// listing is the models that a vendor listed.
type listing struct {
	vendor string // see vendorOf
	models []string
}

// vendorOf tells vendors apart: a type has an address of its own where none is
// configured.
func vendorOf(c *provider.Config) string { return c.Type + " " + c.BaseURL }

// list asks one vendor for its models and says when to ask again.
func (w *Worker) list(ctx context.Context, s *served, setup *ProviderSetup) time.Duration {
	lister, can := setup.Provider.(provider.Lister)
	if !setup.Config.Discover || !can {
		return 0
	}
	var key protocol.Secret
	if keys := setup.Config.Keys(); len(keys) > 0 {
		key = keys[0]
	}
	ctx, cancel := context.WithTimeout(ctx, discoverFor)
	defer cancel()
	models, err := lister.Models(ctx, key)
	if err != nil {
		w.log.Warn().Err(err).Str("provider", s.name).Msg("Models could not be listed")
		return discoverRetry
	}
	s.found.Store(&listing{vendorOf(&setup.Config), models})
	w.log.Info().Str("provider", s.name).Int("models", len(models)).Msg("Models listed")
	return discoverAgain
}
