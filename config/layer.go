package config

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/v2"
)

// setting is one value of one layer. The value has the type of its field,
// except that a secret is still text.
type setting struct {
	path   []string
	value  any
	origin string
}

// layer hands settings to koanf.
type layer []setting

var errNoBytes = errors.New("a layer has no bytes")

// ReadBytes implements koanf.Provider. Layers are parsed already.
func (layer) ReadBytes() ([]byte, error) { return nil, errNoBytes }

// Read implements koanf.Provider.
func (s layer) Read() (map[string]any, error) {
	tree := map[string]any{}
	for _, set := range s {
		at := tree
		for _, name := range set.path[:len(set.path)-1] {
			under, ok := at[name].(map[string]any)
			if !ok {
				under = map[string]any{}
				at[name] = under
			}
			at = under
		}
		last := set.path[len(set.path)-1]
		if _, entry := set.value.(map[string]any); entry && at[last] != nil {
			continue // the entry is there already: an empty one adds nothing
		}
		at[last] = set.value
	}
	return tree, nil
}

// defaults is the lowest layer.
func defaults(c *Config) layer {
	var s layer
	visit(c, func(path []string, _ *node, v reflect.Value) {
		s = append(s, setting{path: path, value: layered(v)})
	})
	return s
}

// compose merges the layers, the last one on top, and decodes them strictly.
// Every value was checked when its layer was read, so an error here is ours.
func compose(layers ...layer) (*Config, error) {
	// The delimiter never occurs in a key: ids of products may hold dots.
	k := koanf.New("/")
	for _, l := range layers {
		if err := k.Load(l, nil); err != nil {
			return nil, fmt.Errorf("merge configuration: %w", err)
		}
	}
	c := &Config{}
	err := k.UnmarshalWithConf("", c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		TagName:     "koanf",
		ErrorUnused: true,
		MatchName:   func(key, field string) bool { return key == field },
		DecodeHook:  mapstructure.TextUnmarshallerHookFunc(),
	}})
	if err != nil {
		return nil, fmt.Errorf("compose configuration: %w", err)
	}
	return c, nil
}
