//go:build !linux

package pgtest

import "syscall"

// setParentDeathSignal does nothing: only Linux has such a signal. The watchdog covers the rest.
func setParentDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}
