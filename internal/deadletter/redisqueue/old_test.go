package redisqueue

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// TestOpen_TooOld: a server before 6.2 is refused in one line.
func TestOpen_TooOld(t *testing.T) {
	t.Parallel()
	refuses(t, "redis://"+startOld(t)+"/0", `is version "6.0.16"; the dead-letter queue needs Redis 6.2 or newer`)
}

// startOld starts what tells of itself what a Redis 6.0 does, and returns its address.
func startOld(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveOld(conn)
		}
	}()
	return l.Addr().String()
}

// serveOld answers INFO with a version, and knows nothing else.
func serveOld(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		var words, length int
		if _, err := fmt.Fscanf(in, "*%d\r\n", &words); err != nil {
			return
		}
		answer := "-ERR unknown command\r\n"
		for range words {
			if _, err := fmt.Fscanf(in, "$%d\r\n", &length); err != nil {
				return
			}
			word := make([]byte, length+len("\r\n"))
			if _, err := io.ReadFull(in, word); err != nil {
				return
			}
			if strings.EqualFold(string(word[:length]), "info") {
				const info = "# Server\r\nredis_version:6.0.16\r\nredis_mode:standalone\r\nrole:master\r\n"
				answer = fmt.Sprintf("$%d\r\n%s\r\n", len(info), info)
			}
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}
