// Package oracle holds the codecs of package provider against the vendors' own
// client libraries. It is a module of its own, so that those libraries and
// everything behind them stay out of the server; there is nothing in it but
// tests, run by make test-oracle and measured by make bench-oracle.
//
// # What is compared
//
// A faulty vendor (package faulty) serves a stream over HTTP. It is asked once
// through provider.New(...).Stream and once through the vendor's library, with
// the library's own retries off, and both must have heard the same: the text,
// the reasoning where the library shows it, how the answer ended, the model, the
// tokens, the kind of error. The streams are
//
//   - written here: the tables of TestWrittenStreams and TestRefusals;
//   - generated here: TestGeneratedStreams, hundreds a wire and new ones in every
//     run. A failure prints the seed, TROUPE_ORACLE_SEED repeats it, and
//     TROUPE_ORACLE_STREAMS asks for more of them.
//
// No stream in here was recorded at a vendor. That both readers agree says that
// ours reads the wire as the vendor's own library does; whether a vendor sends
// what these tables and generators think it sends is not asked here.
//
// The other way round, TestRequests compares what both send for one question.
//
// # Where they differ
//
// Each difference is a row of knownDifferences or of requestDifferences with
// what either side says and why. A row that does not hold any more fails like a
// difference without a row, so that a library that changes its mind is noticed.
//
// # Versions
//
// go.mod pins the libraries. Where the server's own go.mod moved on, go mod tidy
// in here follows it; go says so where it has to.
package oracle
