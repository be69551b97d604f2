package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// minMajor is the oldest PostgreSQL that DataStorage runs on.
const minMajor = 15

// debianBinaries is where Debian and its derivatives keep the binaries of each major version.
const debianBinaries = "/usr/lib/postgresql/*/bin"

var errNoBinaries = errors.New("PostgreSQL 15 or newer is not installed: the tests need its initdb and postgres binaries, " +
	"in " + debianBinaries + " or on PATH (Debian and Ubuntu: apt-get install postgresql; Fedora: dnf install " +
	"postgresql-server; macOS: brew install postgresql@17)")

// findBinaries returns the directory that holds initdb and postgres of the newest version.
func findBinaries() (string, error) {
	best, newest := "", minMajor-1
	dirs, err := filepath.Glob(debianBinaries)
	if err != nil {
		return "", err
	}
	for _, dir := range dirs {
		major, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if err == nil && major > newest && hasBinaries(dir) {
			best, newest = dir, major
		}
	}
	if best != "" {
		return best, nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		// Distributions link initdb into PATH; postgres stands beside the real file.
		if path, err = filepath.EvalSymlinks(path); err == nil && hasBinaries(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	return "", errNoBinaries
}

func hasBinaries(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}

// account returns the user that the server runs as: nil for the current one. PostgreSQL refuses to run as root, so root
// needs another.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("PostgreSQL refuses to run as root, and there is no user postgres or nobody to run it as: " +
		"create one, or run the tests as an ordinary user")
}
