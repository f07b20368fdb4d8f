// Package scenario is what a load run does, as people write it: a YAML file, or
// one of the built-in ones, with single fields overridden on the command line.
//
// Reading is strict. A key that does not exist, a value of the wrong kind and a
// combination that makes no sense are errors that name the line, the key and
// what to write instead.
package scenario
