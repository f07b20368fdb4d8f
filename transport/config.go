package transport

import (
	"time"

	"github.com/troupe-chat/troupe/transport/protocol"
)

// HTTPConfig says where to listen and whom to believe.
type HTTPConfig struct {
	Listen         []string        `koanf:"listen" doc:"one or several addresses, host:port"`
	AdminListen    string          `koanf:"admin_listen" doc:"an address of its own for operator paths, and the only one of a worker; empty = none"`
	AdminToken     protocol.Secret `koanf:"admin_token" doc:"Bearer token for operator paths; env:NAME and file:PATH are resolved"`
	AdminFrom      []string        `koanf:"admin_from" doc:"direct peers (CIDRs) that may use operator paths by a loopback name; [] = none"`
	PublicURL      string          `koanf:"public_url" doc:"scheme and host that browsers use; it alone is then the page's own origin"`
	AllowedOrigins []string        `koanf:"allowed_origins" doc:"replaces the default origins"`
	ExtraOrigins   []string        `koanf:"extra_origins" doc:"added to the allowed origins"`
	TrustedProxies []string        `koanf:"trusted_proxies" doc:"proxies (CIDRs or addresses) whose forwarding headers are believed"`
	TLS            TLSConfig       `koanf:"tls"`
}

// TLSConfig names the files of the server's certificate. Empty = plain HTTP.
type TLSConfig struct {
	Cert string `koanf:"cert" doc:"PEM file"`
	Key  string `koanf:"key" doc:"PEM file"`
}

// WebSocketConfig bounds one socket.
type WebSocketConfig struct {
	MaxMessageBytes  int           `koanf:"max_message_bytes" doc:"one message from a client, all fragments together"`
	OutboxBytes      int           `koanf:"outbox_bytes" doc:"bytes that may wait for a slow reader"`
	PingInterval     time.Duration `koanf:"ping_interval" doc:"silence after which the server pings"`
	PongTimeout      time.Duration `koanf:"pong_timeout" doc:"silence after a ping that ends the connection"`
	HandshakeTimeout time.Duration `koanf:"handshake_timeout" doc:"from accept to the end of the request's headers"`
	Reader           string        `koanf:"reader" doc:"who reads plain sockets: goroutine, one for each; loop, an event loop for each processor; auto, loops on Linux"`
}

// The values of websocket.reader.
const (
	ReaderAuto      = "auto"
	ReaderGoroutine = "goroutine"
	ReaderLoop      = "loop"
)
