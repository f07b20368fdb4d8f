// Package config composes the configuration of every package into one tree,
// loads it, checks it and documents it.
//
// A key has three spellings, pool.max_per_ip in a file, TROUPE_POOL_MAX_PER_IP
// in the environment and --pool.max_per_ip on the command line, and four
// layers, each over the one before: default, file, environment, flag. Tables
// (providers, products) merge by entry and field; lists replace.
//
// Load never guesses: everything wrong is reported at once, one line each, with
// the key, the value, where it came from and what is allowed. The value of a
// secret, and of a key nobody knows, is never part of a line.
//
// Nothing here is safe for concurrent writing: a *Config is built, validated
// and then only read. A reload builds another one.
package config
