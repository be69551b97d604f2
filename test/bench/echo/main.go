// Command echo is the least an HTTP server does for a single event: it reads
// the whole body and answers 201 with as many bytes as the real answer has. It
// stores nothing. What a load reaches against it is what the load generator and
// net/http alone allow on a machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done. It prints the URL once it accepts connections.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("echo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on; port 0 takes a free one, which is printed")
	size := flags.Int("response-bytes", 330, "length of the answer's body")
	if err := flags.Parse(args); err != nil {
		return err
	}
	answer, err := answerOf(*size)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "http://%s\n", listener.Addr())
	server := &http.Server{Handler: handler(answer)}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handler reads the body and answers 201.
func handler(answer []byte) http.Handler {
	length := strconv.Itoa(len(answer))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Content-Length", length)
		w.WriteHeader(http.StatusCreated)
		// A client that is gone needs no answer.
		_, _ = w.Write(answer)
	})
}

// answerOf returns a 201 body of the server's form and of exactly size bytes.
func answerOf(size int) ([]byte, error) {
	head := `{"event_id":"01980000-0000-7000-8000-000000000000","event_timestamp":"2026-01-01T00:00:00.000000Z",` +
		`"message":"Audit event created successfully","receipt":{"log_index":0,"tree_size":1,"root_hash":"`
	tail := `"}}`
	if size < len(head)+len(tail) {
		return nil, fmt.Errorf("response-bytes must be at least %d", len(head)+len(tail))
	}
	answer := make([]byte, size)
	n := copy(answer, head)
	for i := n; i < size-len(tail); i++ {
		answer[i] = 'A'
	}
	copy(answer[size-len(tail):], tail)
	return answer, nil
}
