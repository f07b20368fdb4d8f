package main

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// TestOpenAPIActors compares the shapes of the tree with the structs that are
// encoded, each with its own: they refer to one another.
func TestOpenAPIActors(t *testing.T) {
	api := readAPI(t, "docs/openapi.yaml")
	for name, typ := range map[string]reflect.Type{
		"actors": reflect.TypeFor[protocol.Actors](), "actorKind": reflect.TypeFor[protocol.ActorKind](),
		"actorNode": reflect.TypeFor[protocol.ActorNode](), "actor": reflect.TypeFor[protocol.Actor](),
		"actorAlone": reflect.TypeFor[protocol.ActorAlone](),
	} {
		all, required := jsonFields(typ)
		s := api.Components.Schemas[name]
		require.ElementsMatch(t, all, slices.Collect(maps.Keys(s.Properties)), name)
		require.ElementsMatch(t, required, s.Required, name)
	}
}

// jsonFields lists the members that a struct is encoded with, and those that are
// always there.
func jsonFields(typ reflect.Type) (all, required []string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Anonymous {
			a, r := jsonFields(f.Type)
			all, required = append(all, a...), append(required, r...)
			continue
		}
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, name)
		if option != "omitempty" {
			required = append(required, name)
		}
	}
	return all, required
}
