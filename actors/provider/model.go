package provider

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// pickModel decides which model is asked: the question's, else the default of
// the configuration. Nothing upstream is called for one that is not offered.
func pickModel(name string, c *Config, asked string) (string, error) {
	model := asked
	if model == "" {
		model = c.DefaultModel
	}
	switch {
	case model == "":
		return "", &protocol.Error{Code: protocol.UnknownModel, Message: fmt.Sprintf(
			"No model was asked for and provider %s has no default: name one in the field model, or set providers.%s.default_model.", name, name)}
	case len(c.Models) > 0 && !slices.Contains(c.Models, model):
		return "", &protocol.Error{Code: protocol.UnknownModel, Message: fmt.Sprintf(
			"Provider %s does not offer the model %s. It offers %s.", name, quote(model), someOf(c.Models))}
	}
	return model, nil
}

// someOf lists models for a message without letting a long list flood it.
func someOf(models []string) string {
	const show = 8
	if len(models) <= show {
		return strings.Join(models, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(models[:show], ", "), len(models)-show)
}

// quote makes a model's name, which a stranger wrote, safe inside a message.
func quote(model string) string { return strconv.Quote(clip(model, 64)) }

// clip cuts s to at most n bytes without splitting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
