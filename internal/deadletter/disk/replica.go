package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// ReplicaName is the name of the file in the data directory that holds the queue's own identifier.
const ReplicaName = "deadletter.id"

// Replica returns the identifier of the queue, which its first server makes and keeps beside it.
func (q *Queue) Replica() (uuid.UUID, error) {
	path := filepath.Join(filepath.Dir(q.path), ReplicaName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeReplica(path)
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("read the identifier of the dead-letter queue: %w", err)
	}
	id, err := uuid.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return uuid.Nil, fmt.Errorf("%s holds no UUID; remove the file, and a new one is made", path)
	}
	return id, nil
}

// makeReplica writes a new identifier. A crash leaves the whole file or none.
func makeReplica(path string) (uuid.UUID, error) {
	id := uuid.New()
	fresh := path + ".new"
	err := writeSynced(fresh, id.String()+"\n")
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("write the identifier of the dead-letter queue: %w", err)
	}
	return id, nil
}

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
