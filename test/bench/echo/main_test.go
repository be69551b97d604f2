package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestRun_AnswersWithTheAskedSize(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	done := make(chan error)
	go func() { done <- run(ctx, []string{"--response-bytes", "400"}, writer, io.Discard) }()
	url, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(strings.TrimSpace(url)+"/api/v1/audit/events", "application/json", strings.NewReader(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusCreated || len(body) != 400 || !json.Valid(body) {
		t.Errorf("%s, %d bytes: %s", response.Status, len(body), body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run = %v", err)
	}
}

func TestAnswerOf_RefusesWhatIsTooSmall(t *testing.T) {
	if _, err := answerOf(100); err == nil {
		t.Error("100 bytes are accepted")
	}
}
