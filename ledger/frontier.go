package ledger

import (
	"crypto/sha256"
	"math/bits"
)

// frontier is the right edge of a tree that an audit recomputes. It is the audit's own, apart from Range, so that an
// error in either shows as a root that differs.
type frontier struct {
	size int64
	// full[l] is the root of the perfect subtree of 2^l leaves that ends at the edge; it counts when bit l of size is set.
	full [63]Hash
}

// append adds the leaf of an entry.
func (f *frontier) append(entry []byte) {
	var leaf [1 + EntrySize]byte
	copy(leaf[1:], entry)
	hash := sha256.Sum256(leaf[:])
	level := bits.TrailingZeros64(^uint64(f.size))
	for l := range level {
		hash = parent(&f.full[l], (*Hash)(&hash))
	}
	f.full[level] = hash
	f.size++
}

// appendAll adds the leaves of concatenated entries.
func (f *frontier) appendAll(entries []byte) {
	for ; len(entries) >= EntrySize; entries = entries[EntrySize:] {
		f.append(entries[:EntrySize])
	}
}

// root returns the root hash: the subtrees hashed together from the right.
func (f *frontier) root() Hash {
	if f.size == 0 {
		return sha256.Sum256(nil)
	}
	level := bits.TrailingZeros64(uint64(f.size))
	hash := f.full[level]
	for rest := f.size & (f.size - 1); rest != 0; rest &= rest - 1 {
		hash = parent(&f.full[bits.TrailingZeros64(uint64(rest))], &hash)
	}
	return hash
}

// is reports whether a stored compact range is that of the tree.
func (f *frontier) is(stored []byte) bool {
	for l := 62; l >= 0; l-- {
		if f.size>>l&1 == 0 {
			continue
		}
		if len(stored) < sha256.Size || f.full[l] != Hash(stored[:sha256.Size]) {
			return false
		}
		stored = stored[sha256.Size:]
	}
	return len(stored) == 0
}

// load takes the tree that a commit claims, if its range has the right length and hashes to its root.
func (f *frontier) load(size int64, stored []byte, root []byte) bool {
	if size < 0 || len(stored) != bits.OnesCount64(uint64(size))*sha256.Size {
		return false
	}
	f.size = size
	for l := 62; l >= 0; l-- {
		if size>>l&1 == 1 {
			f.full[l] = Hash(stored[:sha256.Size])
			stored = stored[sha256.Size:]
		}
	}
	hash := f.root()
	return string(hash[:]) == string(root)
}

// parent returns SHA-256(0x01 ‖ left ‖ right).
func parent(left, right *Hash) Hash {
	var node [1 + 2*sha256.Size]byte
	node[0] = 1
	copy(node[1:], left[:])
	copy(node[1+sha256.Size:], right[:])
	return sha256.Sum256(node[:])
}
