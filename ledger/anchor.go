package ledger

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// Anchor is something kept outside the store that the log must still agree with: its root at one size, and, when it is
// a receipt, where one event stands.
type Anchor struct {
	TreeSize int64
	Root     Hash
	// LogIndex is the place of the receipt's event; -1 when there is none.
	LogIndex int64
	// EventID is the event that stands at LogIndex; the nil UUID when it is not known.
	EventID uuid.UUID
	// Source says where the anchor was read, for messages.
	Source string
}

// ParseAnchor reads SIZE:ROOT, as "datastorage verify" prints it: a size of the log, 0 or more, and the root in base64.
func ParseAnchor(text string) (Anchor, error) {
	size, root, found := strings.Cut(strings.TrimSpace(text), ":")
	if !found {
		return Anchor{}, errors.New("an anchor is written SIZE:ROOT")
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || n < 0 {
		return Anchor{}, fmt.Errorf("the size of an anchor is a whole number, 0 or more")
	}
	hash, err := ParseHash(root)
	if err != nil {
		return Anchor{}, fmt.Errorf("the root of an anchor: %w", err)
	}
	return Anchor{TreeSize: n, Root: hash, LogIndex: -1}, nil
}

// receiptJSON is a receipt as an answer holds it.
type receiptJSON struct {
	LogIndex *int64  `json:"log_index"`
	TreeSize *int64  `json:"tree_size"`
	RootHash *string `json:"root_hash"`
}

// answerJSON is what may hold receipts: the answer to one event, the answer to a batch, or a bare receipt.
type answerJSON struct {
	receiptJSON
	EventID  uuid.UUID     `json:"event_id"`
	Receipt  *receiptJSON  `json:"receipt"`
	EventIDs []uuid.UUID   `json:"event_ids"`
	Receipts []receiptJSON `json:"receipts"`
	Status   string        `json:"status"`
}

// ReadReceipts reads receipts: the JSON of 201 answers to one event or to a batch, or bare receipts, one after another.
// Answers with status "accepted" have no receipt and are passed over. It is an error when none is found. name is for
// messages.
func ReadReceipts(r io.Reader, name string) ([]Anchor, error) {
	dec := jsontext.NewDecoder(r)
	var anchors []Anchor
	for n := 1; ; n++ {
		var answer answerJSON
		err := json.UnmarshalDecode(dec, &answer)
		if errors.Is(err, io.EOF) {
			break
		}
		source := fmt.Sprintf("%s, receipt %d", name, n)
		if err != nil {
			return nil, fmt.Errorf("%s: not the JSON of an answer or a receipt: %w", source, err)
		}
		found, err := answer.anchors()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		for i := range found {
			found[i].Source = source
		}
		anchors = append(anchors, found...)
	}
	if len(anchors) == 0 {
		return nil, fmt.Errorf("%s holds no receipt", name)
	}
	return slices.Clip(anchors), nil
}

func (j *answerJSON) anchors() ([]Anchor, error) {
	switch {
	case j.Receipt != nil:
		a, err := j.Receipt.anchor(j.EventID)
		return []Anchor{a}, err
	case j.Receipts != nil:
		if len(j.Receipts) != len(j.EventIDs) {
			return nil, fmt.Errorf("%d receipts stand beside %d event_ids", len(j.Receipts), len(j.EventIDs))
		}
		anchors := make([]Anchor, len(j.Receipts))
		for i := range j.Receipts {
			a, err := j.Receipts[i].anchor(j.EventIDs[i])
			if err != nil {
				return nil, err
			}
			anchors[i] = a
		}
		return anchors, nil
	case j.Status == "accepted" && j.RootHash == nil:
		return nil, nil
	default:
		a, err := j.anchor(j.EventID)
		return []Anchor{a}, err
	}
}

func (j *receiptJSON) anchor(id uuid.UUID) (Anchor, error) {
	if j.LogIndex == nil || j.TreeSize == nil || j.RootHash == nil {
		return Anchor{}, errors.New("a receipt has log_index, tree_size and root_hash")
	}
	if *j.LogIndex < 0 || *j.TreeSize <= *j.LogIndex {
		return Anchor{}, errors.New("a receipt has 0 <= log_index < tree_size")
	}
	root, err := ParseHash(*j.RootHash)
	if err != nil {
		return Anchor{}, fmt.Errorf("root_hash: %w", err)
	}
	return Anchor{TreeSize: *j.TreeSize, Root: root, LogIndex: *j.LogIndex, EventID: id}, nil
}
