//go:build !twinclock

package main

import "time"

// theClock is the wall clock. A build for tests in which hours pass has another (see clock_twin.go); a release has no code for it.
func theClock() func() time.Time { return time.Now }
