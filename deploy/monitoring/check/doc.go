// Package check holds what watches a Troupe, the alerts and the dashboard beside
// it, against Prometheus's own parser and engine: everything parses, asks for
// families and labels that a Troupe exports, and each alert fires when it should
// and not before. It is a module of its own, so that the server's does not depend
// on a Prometheus.
package check
