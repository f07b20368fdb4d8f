// Package transport brings bytes in and out: HTTP, WebSocket, and nothing that
// knows a model, a limit or a bus. It speaks to the house of actors through
// Gateway, Session and Socket alone; to a worker, which has operators and no
// clients, through Worker.
//
// # Order
//
// Of a request, the size of the headers is judged first, then the path, then
// the Origin; nothing runs for a refused one. A WebSocket is upgraded before its
// client is judged, because a browser cannot see why a handshake failed; no
// frame is read before the connection's actor asked for it with Next.
//
// # Blocking
//
// No method of Socket or Session blocks. An HTTP exchange costs the goroutine
// of net/http and no other. The package starts goroutines only for its accept
// loops and for what drives the sockets; each is guarded against panics, and
// Shutdown waits for all of them.
//
// # Bounds
//
// Headers: 8 KiB, 64 lines, websocket.handshake_timeout. Bodies and messages:
// websocket.max_message_bytes. What waits for a slow reader:
// websocket.outbox_bytes, with chunks joined meanwhile, and 30 s without a byte
// of progress. Tables that strangers can fill (folded log lines, warnings) are
// bounded too; past the bound they share an entry.
//
// # Reload
//
// Whom to believe and whom to let in (origins, proxies, operators) is one
// immutable value behind an atomic pointer. A reload swaps the whole of it or
// nothing; requests under way finish with the value they began with.
package transport
