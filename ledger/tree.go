package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/bits"

	"github.com/google/uuid"
)

// Hash is a node of the tree: SHA-256 with the domain separation of RFC 6962, section 2.1.
type Hash [sha256.Size]byte

// String returns the hash in standard base64, as receipts and checkpoints write it.
func (h Hash) String() string { return base64.StdEncoding.EncodeToString(h[:]) }

// AppendBase64 appends what String returns.
func (h Hash) AppendBase64(b []byte) []byte { return base64.StdEncoding.AppendEncode(b, h[:]) }

// ParseHash reads what String writes.
func ParseHash(s string) (Hash, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != sha256.Size {
		return Hash{}, fmt.Errorf("a hash is %d bytes in base64", sha256.Size)
	}
	return Hash(b), nil
}

// EmptyRoot is the root of a log without entries: the SHA-256 of nothing.
var EmptyRoot = Hash(sha256.Sum256(nil))

const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// EntryVersion is the first byte of an entry of an event.
const EntryVersion = 0x01

// EntrySize is the length of an entry in bytes: version, event_id, commitment.
const EntrySize = 1 + 16 + sha256.Size

// AppendEntry appends the entry of one event. It reveals nothing of the event but that it exists.
func AppendEntry(b []byte, id uuid.UUID, commitment [sha256.Size]byte) []byte {
	b = append(b, EntryVersion)
	b = append(b, id[:]...)
	return append(b, commitment[:]...)
}

// LeafHash returns SHA-256(0x00 ‖ entry).
func LeafHash(entry []byte) Hash {
	var buf [1 + EntrySize]byte
	b := append(buf[:0], leafPrefix)
	return sha256.Sum256(append(b, entry...))
}

// NodeHash returns SHA-256(0x01 ‖ left ‖ right).
func NodeHash(left, right Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = nodePrefix
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// Range is the compact range [0, size) of a log: the roots of its maximal perfect subtrees, from left to right. It is
// all that is needed to append entries and to compute the root. The zero value is the empty log.
type Range struct {
	size  int64
	nodes []Hash
}

// ParseRange reads the compact range of a log of the given size from the concatenated hashes that AppendTo wrote.
func ParseRange(size int64, b []byte) (Range, error) {
	n := bits.OnesCount64(uint64(size))
	if size < 0 || len(b) != n*sha256.Size {
		return Range{}, fmt.Errorf("a compact range of size %d has %d hashes of %d bytes, not %d bytes", size, n, sha256.Size, len(b))
	}
	r := Range{size: size, nodes: make([]Hash, n, n+2)}
	for i := range r.nodes {
		copy(r.nodes[i][:], b[i*sha256.Size:])
	}
	return r, nil
}

// Size is the number of entries.
func (r *Range) Size() int64 { return r.size }

// Append adds the leaf at index Size.
func (r *Range) Append(leaf Hash) {
	// Each trailing one bit of the size is a perfect subtree that the new leaf completes.
	for n := r.size; n&1 == 1; n >>= 1 {
		last := len(r.nodes) - 1
		leaf = NodeHash(r.nodes[last], leaf)
		r.nodes = r.nodes[:last]
	}
	r.nodes = append(r.nodes, leaf)
	r.size++
}

// Root returns the root hash of the log.
func (r *Range) Root() Hash {
	if len(r.nodes) == 0 {
		return EmptyRoot
	}
	root := r.nodes[len(r.nodes)-1]
	for i := len(r.nodes) - 2; i >= 0; i-- {
		root = NodeHash(r.nodes[i], root)
	}
	return root
}

// AppendTo appends the concatenated hashes of the range.
func (r *Range) AppendTo(b []byte) []byte {
	for i := range r.nodes {
		b = append(b, r.nodes[i][:]...)
	}
	return b
}

// Clone returns a copy that shares nothing with r.
func (r *Range) Clone() Range {
	return Range{size: r.size, nodes: append(make([]Hash, 0, len(r.nodes)+2), r.nodes...)}
}
