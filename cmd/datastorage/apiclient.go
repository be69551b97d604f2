package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/datastorage-io/datastorage/internal/config"
)

// apiFlags are the flags of a command that talks to a running server.
type apiFlags struct {
	url, tokenFile string
	timeout        time.Duration
}

// addAPIFlags adds --url, --token-file and --timeout to a command and those below it.
func addAPIFlags(cmd *cobra.Command) *apiFlags {
	f := &apiFlags{}
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.url, "url", "http://127.0.0.1:8080", "base `URL` of the server")
	flags.StringVar(&f.tokenFile, "token-file", "", "`file` that holds the bearer token (default the token in "+config.TokenVariable+")")
	flags.DurationVar(&f.timeout, "timeout", 15*time.Second, "how long to wait for an answer")
	if err := cmd.MarkPersistentFlagFilename("token-file"); err != nil {
		panic(err)
	}
	return f
}

// apiClient calls the HTTP API of a running server.
type apiClient struct {
	base  string
	token string
	http  *http.Client
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 256 << 20

// client returns the client that the flags and the environment describe.
func (a *app) client(f *apiFlags) (*apiClient, error) {
	u, err := url.Parse(f.url)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" {
		return nil, usagef("--url must be a URL such as http://127.0.0.1:8080")
	}
	if u.User != nil {
		return nil, usagef("--url must hold no user or password; a token goes into --token-file or %s", config.TokenVariable)
	}
	token, err := a.token(f.tokenFile)
	if err != nil {
		return nil, err
	}
	if token != "" && u.Scheme == "http" && !isLoopbackName(u.Hostname()) {
		fmt.Fprintln(a.stderr, "datastorage: warning: the token goes to another machine unencrypted; use https")
	}
	return &apiClient{
		base: strings.TrimSuffix(u.String(), "/"), token: token,
		http: &http.Client{
			Timeout: f.timeout,
			// A token is for the server that was named, not for one that it points to.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// token returns the bearer token, "" when there is none.
func (a *app) token(file string) (string, error) {
	var token string
	for _, entry := range a.environ {
		if value, ok := strings.CutPrefix(entry, config.TokenVariable+"="); ok {
			token = strings.TrimSpace(value)
		}
	}
	from := config.TokenVariable
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, 4096))
		if err != nil {
			return "", fmt.Errorf("--token-file: %w", err)
		}
		if token = strings.TrimSpace(string(text)); token == "" {
			return "", fmt.Errorf("--token-file: %s is empty", file)
		}
		from = "--token-file"
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s: a token is one line without spaces", from)
	}
	return token, nil
}

func isLoopbackName(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// call sends a request and returns the body of a successful answer. Any other answer is an error that says what the
// server said.
func (c *apiClient) call(ctx context.Context, method, path string, body any) ([]byte, error) {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, reader)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if failed := new(url.Error); errors.As(err, &failed) {
			err = failed.Err
		}
		return nil, fmt.Errorf("%s cannot be reached: %w; is the server running, and --url right?", c.base, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the answer of %s broke off: %w", c.base, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return nil, &refusal{c.refused(resp.StatusCode, answer), resp.StatusCode, answer}
	}
	return answer, nil
}

// refusal is the error for an answer that is not a success.
type refusal struct {
	error
	status int
	body   []byte
}

// refused says in words what an answer that is not a success says.
func (c *apiClient) refused(status int, answer []byte) error {
	var problem struct {
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
	}
	if json.Unmarshal(answer, &problem) != nil || problem.Detail == "" {
		return fmt.Errorf("%s answered %d %s; is it a DataStorage server?", c.base, status, http.StatusText(status))
	}
	text := printable(problem.Detail)
	switch {
	case status == http.StatusUnauthorized && c.token == "":
		text += "; give one with --token-file or " + config.TokenVariable
	case status >= http.StatusInternalServerError:
		text += " (request " + printable(problem.RequestID) + ")"
	}
	return fmt.Errorf("the server answered %d: %s", status, text)
}

// printable replaces what could move the cursor of a terminal or change its colours.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}
