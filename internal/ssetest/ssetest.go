// Package ssetest reads streams of server-sent events as browsers do (WHATWG HTML, 9.2.6). Only tests import it.
package ssetest

import (
	"bufio"
	"io"
	"strings"
)

// Block is what stands between two empty lines of a stream.
type Block struct {
	Type string // "" for a block without data, which no browser dispatches
	Data string
	// ID is the id that a client resumes from behind this block.
	ID       string
	Comments []string
}

// Reader reads a stream block by block.
type Reader struct {
	lines  *bufio.Reader
	lastID string
}

// NewReader returns a reader of a stream.
func NewReader(r io.Reader) *Reader { return &Reader{lines: bufio.NewReader(r)} }

// Next returns the next block. A block that breaks off is dropped, as the standard says: the error is that of the stream.
func (r *Reader) Next() (Block, error) {
	var b Block
	var data []string
	id, kind := r.lastID, ""
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			return Block{}, err
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if line == "" {
			break
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "":
			b.Comments = append(b.Comments, value)
		case "id":
			id = value
		case "event":
			kind = value
		case "data":
			data = append(data, value)
		}
	}
	r.lastID, b.ID = id, id
	if len(data) > 0 {
		b.Data, b.Type = strings.Join(data, "\n"), kind
		if kind == "" {
			b.Type = "message"
		}
	}
	return b, nil
}
