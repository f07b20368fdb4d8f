package protocol

// Health answers GET /api/health.
type Health struct {
	Status  string `json:"status"` // ok, degraded, draining
	Version string `json:"version"`
	Bus     string `json:"bus"` // ok, down
	Workers int    `json:"workers"`
	Limiter string `json:"limiter"` // ok, fallback
	// Pressure is how hard pressed the process is, 1 to 3; left out while calm.
	Pressure int `json:"pressure,omitempty"`
}

// RoleWorker tells a worker's own health from a gateway's.
const RoleWorker = "worker"

// WorkerHealth answers GET /api/health on a worker's http.admin_listen.
type WorkerHealth struct {
	Role     string `json:"role"` // worker
	ID       string `json:"id"`
	Status   string `json:"status"` // ok, degraded, draining
	Version  string `json:"version"`
	Bus      string `json:"bus"` // ok, down
	Active   int    `json:"active"`
	Capacity int    `json:"capacity"`
	Pressure int    `json:"pressure,omitempty"` // 1 to 3; left out while calm
}

// Offer is one provider that live workers serve now (GET /api/providers).
type Offer struct {
	Name         string   `json:"name"`
	Type         string   `json:"type"`
	State        string   `json:"state"`                 // ready, needs_key, resting, off
	RetryAfter   int      `json:"retry_after,omitempty"` // of a resting one: whole seconds
	Default      bool     `json:"default"`
	DefaultModel string   `json:"default_model"`
	Models       []string `json:"models"` // empty = any model
	Workers      int      `json:"workers"`
	// Runs now, and room for runs, of those workers, whatever provider is asked.
	Active   int `json:"active"`
	Capacity int `json:"capacity"`
}

// Status answers GET /api/debug/websocket-status. Its field order is the wire's.
type Status struct {
	RateLimiter      LimiterStatus   `json:"rate_limiter"`
	ConnectionPool   PoolStatus      `json:"connection_pool"`
	WebSocketManager ManagerStatus   `json:"websocket_manager"`
	Runs             RunsStatus      `json:"runs"`
	Pressure         PressureStatus  `json:"pressure"`
	Gateways         []GatewayStatus `json:"gateways"`
	Workers          []WorkerStatus  `json:"workers"`
	Actors           ActorsStatus    `json:"actors"`
	Warnings         []string        `json:"warnings,omitempty"`
}

// LimiterStatus is the limiter's part of Status.
type LimiterStatus struct {
	Stats           LimiterStats `json:"stats"`
	ConnectionLimit string       `json:"connection_limit"` // "50 connections per 5 minutes" or "off"
	MessageLimit    string       `json:"message_limit"`
	SessionLimit    string       `json:"session_limit"`
	State           string       `json:"state"`         // ok, fallback
	Factor          float64      `json:"factor"`        // what is left of the limits under pressure: 0.5 to 1
	Why             string       `json:"why,omitempty"` // why it is not 1
	Offenders       int          `json:"offenders"`     // keys of addresses that broke rules lately
	Scope           string       `json:"scope"`         // gateway
}

// LimiterStats counts decisions since the start.
type LimiterStats struct {
	TrackedKeys int    `json:"tracked_keys"`
	Allowed     uint64 `json:"allowed"`
	Rejected    uint64 `json:"rejected"`
	Fallback    uint64 `json:"fallback"`
}

// PoolStatus is the pool's part of Status.
type PoolStatus struct {
	MaxConnections int    `json:"max_connections"`
	MaxPerIP       int    `json:"max_per_ip"`
	Active         int    `json:"active"`
	Peak           int    `json:"peak"`
	Rejected       uint64 `json:"rejected"`
	IdleTimeout    string `json:"idle_timeout"`
	Scope          string `json:"scope"` // gateway
}

// ManagerStatus counts WebSocket connections.
type ManagerStatus struct {
	ActiveConnections int     `json:"active_connections"`
	AcceptedTotal     uint64  `json:"accepted_total"`
	RejectedTotal     uint64  `json:"rejected_total"`
	SuccessRate       float64 `json:"success_rate"` // 1 before the first attempt
}

// RunsStatus counts turns of this gateway.
type RunsStatus struct {
	Active    int    `json:"active"`
	Completed uint64 `json:"completed"`
	Cancelled uint64 `json:"cancelled"`
	Failed    uint64 `json:"failed"`
}

// PressureStatus is how hard pressed the process is that answers.
type PressureStatus struct {
	Stage       int    `json:"stage"`              // 0 calm, 1 no new questions, 2 no new connections, 3 slow readers are cut
	Why         string `json:"why,omitempty"`      // memory, lag
	Since       string `json:"since,omitempty"`    // when the stage last changed, RFC 3339
	Memory      uint64 `json:"memory_bytes"`       // that no collection would free
	MemoryLimit uint64 `json:"memory_limit_bytes"` // GOMEMLIMIT; 0 = there is none, and memory plays no part
	LagMS       int64  `json:"lag_ms"`
}

// GatewayStatus is one live gateway, as its last beat told.
type GatewayStatus struct {
	ID       string `json:"id"`
	Version  string `json:"version"`
	Active   int    `json:"active"` // turns that wait or stream
	Draining bool   `json:"draining"`
	Self     bool   `json:"self"` // the one that answers
}

// WorkerStatus is one live worker, as its last beat told.
type WorkerStatus struct {
	ID        string            `json:"id"`
	Version   string            `json:"version"`
	Providers []string          `json:"providers"`
	States    map[string]string `json:"states"` // by provider: ready, needs_key, resting, off
	Rests     []RestStatus      `json:"rests,omitempty"`
	Active    int               `json:"active"`
	Capacity  int               `json:"capacity"`
	Draining  bool              `json:"draining"`
}

// RestStatus is one thing that a worker met at a vendor and leaves alone for now.
type RestStatus struct {
	Provider string `json:"provider"`
	Key      string `json:"key,omitempty"` // fingerprint of a deployment's key
	OneModel bool   `json:"one_model"`     // this key may still ask for other models
	Why      string `json:"why"`           // failing, limited, spent, refused
	Seconds  int    `json:"seconds"`
}

// ActorsStatus counts living actors and restarts by kind.
type ActorsStatus struct {
	Connection int               `json:"connection"`
	Run        int               `json:"run"`
	Restarts   map[string]uint64 `json:"restarts"`
}
