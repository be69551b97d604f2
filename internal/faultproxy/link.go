package faultproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// bufferSize is how much is read at once, and about how much is forwarded at once.
	bufferSize = 64 << 10
	// maxMessage bounds one message; PostgreSQL's own bound is 1 GiB.
	maxMessage = 1 << 30
	// inFlight is how many pieces may be on the way while a delay is set.
	inFlight = 4096
)

// Requests that stand in place of the first message, which has no type.
const (
	cancelRequest     = 80877102
	encryptionRequest = 80877103
	gssRequest        = 80877104
)

// Types of messages that matter here.
const (
	parseMessage = 'P'
	bindMessage  = 'B'
	queryMessage = 'Q'
	syncMessage  = 'S'
	readyMessage = 'Z'
)

// link is one connection through the proxy.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	once           sync.Once
	ended          chan struct{} // closed by end

	// requests counts the messages that the server answers with ReadyForQuery, the first one included. loseFrom is the
	// number of the one whose answer is lost, 0 for none; cut says that the connection ends with it.
	requests atomic.Int64
	loseFrom atomic.Int64
	cut      atomic.Bool
}

// piece is what is forwarded in one write, not before due.
type piece struct {
	due   time.Time
	bytes []byte
}

func (l *link) run() {
	pieces := make(chan piece, inFlight)
	var running sync.WaitGroup
	running.Go(func() {
		defer close(pieces)
		// How a connection ends is of no interest, only that the other side sees it.
		_ = l.readClient(pieces)
	})
	running.Go(func() {
		defer l.end()
		_ = l.writeServer(pieces)
		_ = l.proxy.pass() // the end of a connection is held up as well
	})
	running.Go(func() {
		defer l.end()
		_ = l.readServer()
		_ = l.proxy.pass()
	})
	running.Wait()
}

// end ends both sides.
func (l *link) end() {
	l.once.Do(func() {
		close(l.ended)
		l.client.Close()
		l.server.Close()
	})
}

// writeServer writes each piece when it is due.
func (l *link) writeServer(pieces <-chan piece) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for p := range pieces {
		if wait := time.Until(p.due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-l.ended:
				return net.ErrClosed
			}
		}
		if err := l.proxy.pass(); err != nil {
			return err
		}
		if _, err := l.server.Write(p.bytes); err != nil {
			return err
		}
	}
	return nil
}

// send hands bytes to writeServer.
func (l *link) send(pieces chan<- piece, b []byte) error {
	select {
	case pieces <- piece{time.Now().Add(l.proxy.currentDelay()), b}:
		return nil
	case <-l.ended:
		return net.ErrClosed
	}
}

// readClient forwards the program's messages and looks for commits among them.
func (l *link) readClient(pieces chan<- piece) error {
	in := bufio.NewReaderSize(l.client, bufferSize)
	if err := l.startup(in, pieces); err != nil {
		return err
	}
	commits := map[string]bool{} // the prepared statements that are commits
	inCommit := false
	var out []byte
	flush := func() error {
		b := out
		out = nil
		if len(b) == 0 {
			return nil
		}
		return l.send(pieces, b)
	}
	for {
		kind, message, err := readMessage(in)
		if err != nil {
			return err
		}
		switch kind {
		case parseMessage:
			name, rest, _ := bytes.Cut(message[5:], []byte{0})
			sql, _, _ := bytes.Cut(rest, []byte{0})
			commits[string(name)] = l.proxy.isCommit(string(sql))
		case bindMessage:
			_, rest, _ := bytes.Cut(message[5:], []byte{0})
			name, _, _ := bytes.Cut(rest, []byte{0})
			inCommit = inCommit || commits[string(name)]
		case queryMessage:
			sql, _, _ := bytes.Cut(message[5:], []byte{0})
			inCommit = inCommit || l.proxy.isCommit(string(sql))
		}
		if kind == queryMessage || kind == syncMessage {
			number := l.requests.Add(1)
			if inCommit && !l.prepareFault(number) {
				return flush() // and the end of the connection behind it
			}
			inCommit = false
		}
		out = append(out, message...)
		if in.Buffered() == 0 || len(out) >= bufferSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

// prepareFault decides what happens to the commit with that number. It reports whether the commit is forwarded.
func (l *link) prepareFault(number int64) bool {
	switch l.proxy.commitFault() {
	case CutBefore:
		return false
	case CutAfter:
		l.cut.Store(true)
		l.loseFrom.Store(number)
	case HoldAnswer:
		l.loseFrom.Store(number)
	case Pass:
	}
	return true
}

// startup forwards the first message. Encryption is declined in the server's name, so that the rest can be read.
func (l *link) startup(in *bufio.Reader, pieces chan<- piece) error {
	for {
		head, err := in.Peek(8)
		if err != nil {
			return err
		}
		size, code := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
		if size < 8 || size > bufferSize {
			return fmt.Errorf("not a PostgreSQL client: its first message has %d bytes", size)
		}
		message := make([]byte, size)
		if _, err := io.ReadFull(in, message); err != nil {
			return err
		}
		switch code {
		case encryptionRequest, gssRequest:
			if _, err := l.client.Write([]byte{'N'}); err != nil {
				return err
			}
			continue
		case cancelRequest:
		default:
			l.requests.Add(1)
		}
		return l.send(pieces, message)
	}
}

// readServer forwards the server's messages, up to an answer that is to be lost.
func (l *link) readServer() error {
	in := bufio.NewReaderSize(l.server, bufferSize)
	answered := int64(0)
	var out []byte
	for {
		kind, message, err := readMessage(in)
		if err != nil {
			return err
		}
		if lost := l.loseFrom.Load(); lost > 0 && answered+1 >= lost {
			if kind == readyMessage && l.cut.Load() {
				return nil
			}
			continue
		}
		if kind == readyMessage {
			answered++
		}
		out = append(out, message...)
		if in.Buffered() > 0 && len(out) < bufferSize {
			continue
		}
		if err := l.proxy.pass(); err != nil {
			return err
		}
		if _, err := l.client.Write(out); err != nil {
			return err
		}
		out = out[:0]
	}
}

// readMessage reads one message with its head: a type, and a length that counts itself.
func readMessage(in *bufio.Reader) (kind byte, message []byte, err error) {
	head, err := in.Peek(5)
	if err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size < 4 || size > maxMessage {
		return 0, nil, fmt.Errorf("a message of %d bytes", size)
	}
	kind, message = head[0], make([]byte, 1+size)
	_, err = io.ReadFull(in, message)
	return kind, message, err
}
