package main

import "syscall"

// ownGroup puts a child into a process group of its own, so that an interrupt from the terminal reaches only us.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// ownGroupMortal also ends the child when the thread that started it ends.
func ownGroupMortal() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
