//go:build !linux

package postgres

import "syscall"

// setUserTimeout does nothing: keep-alive probes alone find a silent network.
func setUserTimeout(string, string, syscall.RawConn) error { return nil }
