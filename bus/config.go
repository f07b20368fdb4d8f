package bus

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Config says where the bus is. An empty URL means the embedded server.
type Config struct {
	URL         string    `koanf:"url" doc:"nats:// or tls:// servers, by comma; empty = embedded, nothing listens"`
	Prefix      string    `koanf:"prefix" doc:"first token of every subject, queue group and service name"`
	InboxPrefix string    `koanf:"inbox_prefix" doc:"prefix of reply inboxes, where the server's permissions ask for one"`
	Credentials string    `koanf:"credentials" doc:"file with NATS credentials"`
	TLS         TLSConfig `koanf:"tls"`
}

// TLSConfig names the files for TLS to an external NATS.
type TLSConfig struct {
	CA   string `koanf:"ca" doc:"PEM file; empty = the system's"`
	Cert string `koanf:"cert" doc:"PEM file of the client certificate"`
	Key  string `koanf:"key" doc:"PEM file of the client key"`
}

// Default is the embedded bus under the project's own prefix.
func Default() Config { return Config{Prefix: "troupe"} }

var (
	prefixPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	inboxPattern  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}$`)
)

// Validate reports every bad value by its key. It reads no file, and no error
// repeats a URL's user, password or token.
func (c Config) Validate() error {
	errs := []error{c.validateURL()}
	if !prefixPattern.MatchString(c.Prefix) {
		errs = append(errs, fmt.Errorf("bus.prefix: %q is not 1 to 32 characters A-Z a-z 0-9 _ -", c.Prefix))
	}
	if c.InboxPrefix != "" && !inboxPattern.MatchString(c.InboxPrefix) {
		errs = append(errs, fmt.Errorf("bus.inbox_prefix: %q is not words of A-Z a-z 0-9 _ - joined by dots", c.InboxPrefix))
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		errs = append(errs, errors.New("bus.tls: set both bus.tls.cert and bus.tls.key, or neither"))
	}
	if c.URL == "" && (c.Credentials != "" || c.TLS != TLSConfig{}) {
		errs = append(errs, errors.New("bus.url: is empty, so bus.credentials and bus.tls.* have no server to apply to: set bus.url or remove them"))
	}
	return errors.Join(errs...)
}

func (c Config) validateURL() error {
	if c.URL == "" {
		return nil
	}
	for i, s := range c.servers() {
		if _, ok := parseServer(s); !ok {
			return fmt.Errorf("bus.url: server %d of the list is not nats://host:port, tls://host:port, ws://host:port or wss://host:port", i+1)
		}
	}
	return nil
}

// servers splits the list of URL.
func (c Config) servers() []string {
	list := strings.Split(c.URL, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

func parseServer(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return nil, false
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
		return u, true
	}
	return nil, false
}

const redacted = "[redacted]"

// RedactURL is a Config.URL fit for a log or a printed configuration: user,
// password and token of each server are replaced as a whole. Of a list that is
// not valid nothing is shown, as nobody can tell where a password in it ends.
func RedactURL(servers string) string {
	list := Config{URL: servers}.servers()
	for i, s := range list {
		u, ok := parseServer(s)
		switch {
		case servers == "":
			return ""
		case !ok:
			return redacted
		case u.User != nil:
			list[i] = u.Scheme + "://" + redacted + "@" + u.Host
		default:
			list[i] = u.Scheme + "://" + u.Host
		}
	}
	return strings.Join(list, ",")
}
