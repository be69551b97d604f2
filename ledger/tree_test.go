package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"pgregory.net/rapid"

	"github.com/datastorage-io/datastorage"
)

// The inputs and roots that implementations of RFC 6962 share as test vectors.
var (
	vectorLeaves = []string{
		"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
	}
	vectorRoots = []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
)

func TestRange_Vectors(t *testing.T) {
	var r Range
	for size, want := range vectorRoots {
		if size > 0 {
			data, err := hex.DecodeString(vectorLeaves[size-1])
			if err != nil {
				t.Fatal(err)
			}
			r.Append(sha256.Sum256(append([]byte{0}, data...)))
		}
		if root := r.Root(); hex.EncodeToString(root[:]) != want || r.Size() != int64(size) {
			t.Errorf("size %d has root %x, not %s", size, root, want)
		}
	}
}

func entry(i int) []byte {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], uint64(i))
	return AppendEntry(nil, id, sha256.Sum256(id[:]))
}

// Range and frontier are two implementations; both must be that of transparency-dev at every size.
func TestTree_AgainstTransparencyDev(t *testing.T) {
	factory := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	reference := factory.NewEmptyRange(0)
	var r Range
	var f frontier
	for i := range 1100 {
		e := entry(i)
		r.Append(LeafHash(e))
		f.append(e)
		if err := reference.Append(rfc6962.DefaultHasher.HashLeaf(e), nil); err != nil {
			t.Fatal(err)
		}
		want, err := reference.GetRootHash(nil)
		if err != nil {
			t.Fatal(err)
		}
		if root := r.Root(); !bytes.Equal(root[:], want) || f.root() != root {
			t.Fatalf("size %d: roots %v and %v, want %x", i+1, root, f.root(), want)
		}
		stored := r.AppendTo(nil)
		if !bytes.Equal(stored, bytes.Join(reference.Hashes(), nil)) || !f.is(stored) {
			t.Fatalf("size %d: the compact range differs", i+1)
		}
		root := r.Root()
		var loaded frontier
		if !loaded.load(int64(i+1), stored, root[:]) || loaded.root() != root {
			t.Fatalf("size %d: the compact range does not load", i+1)
		}
		parsed, err := ParseRange(int64(i+1), stored)
		if err != nil || parsed.Root() != root || parsed.Size() != int64(i+1) {
			t.Fatalf("size %d: the compact range does not parse: %v", i+1, err)
		}
	}
}

func TestParseRange_Refuses(t *testing.T) {
	for _, c := range []struct {
		size  int64
		bytes int
	}{{-1, 0}, {0, 32}, {1, 0}, {1, 31}, {1, 64}, {3, 32}, {1 << 62, 64}} {
		if _, err := ParseRange(c.size, make([]byte, c.bytes)); err == nil {
			t.Errorf("size %d with %d bytes was taken", c.size, c.bytes)
		}
		var f frontier
		if f.load(c.size, make([]byte, c.bytes), EmptyRoot[:]) {
			t.Errorf("frontier: size %d with %d bytes was taken", c.size, c.bytes)
		}
	}
}

func TestRange_Clone(t *testing.T) {
	var r Range
	for i := range 7 {
		r.Append(LeafHash(entry(i)))
	}
	before := r.AppendTo(nil)
	c := r.Clone()
	c.Append(LeafHash(entry(7)))
	if !bytes.Equal(before, r.AppendTo(nil)) || c.Size() != 8 || r.Size() != 7 {
		t.Error("a clone shares its hashes with the original")
	}
}

func TestHash_Text(t *testing.T) {
	h, err := ParseHash(EmptyRoot.String())
	if err != nil || h != EmptyRoot || string(h.AppendBase64(nil)) != EmptyRoot.String() {
		t.Errorf("%v, %v", h, err)
	}
	for _, bad := range []string{"", "x", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="} {
		if _, err := ParseHash(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// However events are cut into commits, the tree is the same, and each commit says what it must.
func TestNewCommit(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 12).Draw(t, "sizes")
		var head Head
		var all frontier
		for _, n := range sizes {
			records := make([]*datastorage.Record, n)
			times := rapid.SliceOfN(rapid.Int64Range(0, 1000), n, n).Draw(t, "times")
			for i := range records {
				records[i] = &datastorage.Record{Event: datastorage.Event{ID: uuid.UUID{1, byte(i)}, Time: at.Add(time.Duration(times[i]) * time.Microsecond)}}
			}
			before := head
			c, next := NewCommit(&head, records, at.Add(999*time.Nanosecond))
			all.appendAll(c.Entries)
			if head.Size() != before.Size() || c.FirstIndex != head.Size() || c.NextIndex != next.Size() || next.First != c.FirstIndex {
				t.Fatalf("indexes %d to %d follow size %d", c.FirstIndex, c.NextIndex, head.Size())
			}
			if c.Root != all.root() || !all.is(c.Range) || len(c.Entries) != n*EntrySize || c.PrevRoot != head.Range.Root() || c.PrevFirst != head.First {
				t.Fatalf("commit %+v", c)
			}
			least, greatest := records[0].Time, records[0].Time
			for _, r := range records {
				if r.Time.Before(least) {
					least = r.Time
				}
				if r.Time.After(greatest) {
					greatest = r.Time
				}
			}
			if !c.MinTime.Equal(least) || !c.MaxTime.Equal(greatest) || !c.CommittedAt.Equal(at) {
				t.Fatalf("times %v, %v, %v", c.MinTime, c.MaxTime, c.CommittedAt)
			}
			head = next
		}
		if len(head.Range.AppendTo(nil)) != 32*bits.OnesCount64(uint64(head.Size())) {
			t.Fatal("the compact range has another number of hashes")
		}
	})
}

func TestAppendEntry(t *testing.T) {
	id := uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")
	e := AppendEntry([]byte("x"), id, [32]byte{31: 9})[1:]
	if len(e) != EntrySize || e[0] != EntryVersion || uuid.UUID(e[1:17]) != id || e[48] != 9 {
		t.Errorf("entry %x", e)
	}
	if leaf := LeafHash(e); leaf != Hash(rfc6962.DefaultHasher.HashLeaf(e)) {
		t.Errorf("leaf hash %v", leaf)
	}
}
