package pgtest

import "syscall"

func setParentDeathSignal(a *syscall.SysProcAttr, s syscall.Signal) { a.Pdeathsig = s }
