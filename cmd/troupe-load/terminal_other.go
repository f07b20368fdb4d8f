//go:build !unix

package main

import "os"

// terminalSize is a size that fits everywhere.
func terminalSize(*os.File) (cols, rows int) { return 80, 24 }
