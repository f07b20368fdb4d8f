package trace

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// Config says where traces go. Without an endpoint nothing is traced.
type Config struct {
	Endpoint    string            `koanf:"endpoint" doc:"OTLP/HTTP address of a collector, as http://127.0.0.1:4318; empty = no traces"`
	Sample      float64           `koanf:"sample" doc:"share of the traces that begin here which are kept, 0 to 1; where a client's traceparent is taken, that says whether"`
	Clients     bool              `koanf:"clients" doc:"go on with the traces of clients that send a traceparent, whose own flag then says whether they are kept; false = every trace begins here, and a traceparent counts for nothing"`
	Headers     []protocol.Secret `koanf:"headers" doc:"sent to the collector with every request, each as Name: value; env:NAME and file:PATH are resolved"`
	ServiceName string            `koanf:"service_name" doc:"service.name of the traces"`
	Timeout     time.Duration     `koanf:"timeout" doc:"one request to the collector"`
	Queue       int               `koanf:"queue" doc:"ended spans that may wait for the collector; more are dropped and counted"`
}

// Bounds of Config.
const (
	maxQueue   = 1 << 16
	maxTimeout = time.Minute
	maxName    = 128
	tracesPath = "/v1/traces" // of OTLP/HTTP
)

// Default traces nothing. Once an endpoint is given, no client's word decides
// what is kept: whoever asks could make the operator pay for every span.
func Default() Config {
	return Config{Sample: 1, ServiceName: "troupe", Timeout: 5 * time.Second, Queue: 2048}
}

// Validate names every key that holds a value nobody could obey. No error
// repeats a header or what may stand in an address besides its host.
func (c Config) Validate() error {
	var errs []error
	if c.Endpoint != "" {
		if _, err := c.address(); err != nil {
			errs = append(errs, err)
		}
	}
	if !(c.Sample >= 0 && c.Sample <= 1) { // NaN is neither
		errs = append(errs, fmt.Errorf("traces.sample: %v is not a share: give 0 to 1", c.Sample))
	}
	if c.ServiceName == "" || len(c.ServiceName) > maxName {
		errs = append(errs, fmt.Errorf("traces.service_name: give 1 to %d characters", maxName))
	}
	if c.Timeout <= 0 || c.Timeout > maxTimeout {
		errs = append(errs, fmt.Errorf("traces.timeout: %s is not allowed: give more than 0 and at most %s", c.Timeout, maxTimeout))
	}
	if c.Queue < 1 || c.Queue > maxQueue {
		errs = append(errs, fmt.Errorf("traces.queue: %d is not allowed: give 1 to %d", c.Queue, maxQueue))
	}
	for i, h := range c.Headers {
		if _, _, ok := header(h); !ok && !h.Empty() {
			errs = append(errs, fmt.Errorf("traces.headers[%d]: is not a header: give it as \"Name: value\"", i))
		}
	}
	return errors.Join(errs...)
}

var errEndpoint = errors.New("traces.endpoint: is not the address of a collector: give http://host:port or https://host:port, " +
	"with a path where it is not " + tracesPath + ", and without user or password, which belong into traces.headers")

// address is where batches are posted.
func (c Config) address() (*url.URL, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errEndpoint
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = tracesPath
	}
	return u, nil
}

// header takes one of Headers apart. An unset one is none.
func header(s protocol.Secret) (name, value string, ok bool) {
	before, after, found := bytes.Cut(s.Reveal(), []byte(":"))
	name, value = string(before), string(bytes.TrimSpace(after))
	return name, value, found && name != "" && strings.Trim(name, nameLetters) == "" && printable(value)
}

// nameLetters are those that collectors use in the names of headers.
const nameLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func printable(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return true
}
