//go:build !linux

package main

import (
	"errors"
	"time"
)

var errUnsupported = errors.New("CPU and memory of another process are read the Linux way; run this on Linux, or in a container")

func supported() error { return errUnsupported }

func cpuTime(int) (time.Duration, error) { return 0, errUnsupported }

func privateBytes(int) (float64, error) { return 0, errUnsupported }
