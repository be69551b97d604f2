package auth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// maxFileBytes bounds a file of tokens.
const maxFileBytes = 1 << 20

// pollInterval is how often Watch looks at the file.
const pollInterval = time.Second

// File is the tokens of a file, kept up to date by Watch. Its methods may be called concurrently, Reload by one at a time.
type File struct {
	name    string
	log     *slog.Logger
	current atomic.Pointer[tokens]

	seen  [sha256.Size]byte // of the content that was read last, right or wrong
	fault string            // why the file as it is now does not count, "" when it does
	loose fs.FileMode       // permissions that were warned of
}

// Open reads a file of tokens. The error says what is wrong with it, without repeating any of it but names of keys.
func Open(name string, log *slog.Logger) (*File, error) {
	f := &File{name: name, log: log}
	text, err := f.read()
	if err == nil {
		err = f.use(text)
	}
	if err != nil {
		return nil, fmt.Errorf("auth.tokens_file: %s %w", name, err)
	}
	return f, nil
}

// Client returns the client that a token belongs to, nil when there is none.
func (f *File) Client(token string) *Client { return f.current.Load().find(token) }

// Len returns the number of tokens.
func (f *File) Len() int { return len(f.current.Load().entries) }

// Watch reloads the file when it changes, until ctx ends.
func (f *File) Watch(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.Reload()
		}
	}
}

// Reload takes what the file holds now. When that is wrong, or the file is gone, the tokens stay as they were, and the log
// says so once. The file is read as a whole each time: it is small, and neither its time nor its size must change when a
// hash is replaced.
func (f *File) Reload() {
	text, err := f.read()
	if err == nil {
		sum := sha256.Sum256(text)
		if sum == f.seen && f.fault == "" {
			return
		}
		err = f.use(text)
	}
	if err != nil {
		if f.fault != err.Error() {
			f.fault = err.Error()
			f.log.Error("the file of tokens is not used; the tokens that were read before hold", "file", f.name, "error", f.fault)
		}
		return
	}
	f.fault = ""
	f.log.Info("tokens were read anew", "file", f.name, "tokens", f.Len())
}

// use makes the content of the file count, unless it is wrong.
func (f *File) use(text []byte) error {
	f.seen = sha256.Sum256(text)
	parsed, err := parse(text)
	if err != nil {
		return err
	}
	f.current.Store(parsed)
	return nil
}

// read returns the content, and warns when others may read it too. The error is the rest of a sentence that begins with
// the file's name.
func (f *File) read() ([]byte, error) {
	info, err := os.Stat(f.name)
	if err != nil {
		return nil, unreadable(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	f.checkPermissions(info.Mode().Perm())
	file, err := os.Open(f.name)
	if err != nil {
		return nil, unreadable(err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if len(text) > maxFileBytes {
		return nil, errors.New("is larger than 1 MiB")
	}
	return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), nil
}

// checkPermissions warns, once for each change, when users other than the owner and the group may read the file, or when
// others than the owner may write it.
func (f *File) checkPermissions(mode fs.FileMode) {
	loose := mode & 0o026
	if loose != 0 && loose != f.loose {
		f.log.Warn("other users may read or change the file of tokens", "file", f.name, "mode", mode.String(), "try", "chmod 600 "+f.name)
	}
	f.loose = loose
}

// unreadable says why a file cannot be read, without its name.
func unreadable(err error) error {
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		err = errors.New("this user may not")
	case errors.As(err, &path):
		err = path.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}
