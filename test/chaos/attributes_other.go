//go:build !linux

package main

import "syscall"

// ownGroup puts a child into a process group of its own, so that an interrupt from the terminal reaches only us.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// ownGroupMortal is ownGroup: only Linux ends a child with its parent.
func ownGroupMortal() *syscall.SysProcAttr { return ownGroup() }
