package redisqueue

import (
	"context"
	"crypto/sha1" //nolint:gosec // what servers name scripts by
	_ "embed"     // the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/datastorage-io/datastorage/internal/deadletter"
)

//go:embed scripts/common.lua
var commonText string

//go:embed scripts/put.lua
var putText string

//go:embed scripts/remove.lua
var removeText string

//go:embed scripts/quarantine.lua
var quarantineText string

//go:embed scripts/replay.lua
var replayText string

//go:embed scripts/discard.lua
var discardText string

//go:embed scripts/oldest.lua
var oldestText string

//go:embed scripts/letters.lua
var lettersText string

//go:embed scripts/stats.lua
var statsText string

//go:embed scripts/others.lua
var othersText string

//go:embed scripts/lead.lua
var leadText string

// Each script is one atomic step of the server.
var (
	putScript        = newScript(putText)
	removeScript     = newScript(removeText)
	quarantineScript = newScript(quarantineText)
	replayScript     = newScript(replayText)
	discardScript    = newScript(discardText)
	oldestScript     = newScript(oldestText)
	lettersScript    = newScript(lettersText)
	statsScript      = newScript(statsText)
	othersScript     = newScript(othersText)
	leadScript       = newScript(leadText)
)

// changeScripts are those that the writer calls.
var changeScripts = []*script{putScript, removeScript, quarantineScript, replayScript, discardScript}

// script is a script with the hash that the server knows it by.
type script struct{ text, hash string }

func newScript(text string) *script {
	text = commonText + text
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the server's name of the script, no protection
	return &script{text: text, hash: hex.EncodeToString(sum[:])}
}

// run calls the script, which the server may not know yet.
func (s *script) run(ctx context.Context, client *redis.Client, args ...any) *redis.Cmd {
	call := client.EvalSha(ctx, s.hash, keys, args...)
	if isUnknownScript(call.Err()) {
		call = client.Eval(ctx, s.text, keys, args...)
	}
	return call
}

// isUnknownScript reports whether the server does not know the script; it has done nothing then.
func isUnknownScript(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }

// read runs a script beside the changes.
func (q *Queue) read(ctx context.Context, s *script, args ...any) (any, error) {
	if err := errors.Join(ctx.Err(), q.closed()); err != nil {
		return nil, err
	}
	ctx, cancel := q.bounded(ctx)
	defer cancel()
	reply, err := s.run(ctx, q.client, args...).Result()
	return reply, q.explain(err)
}

// explain turns an error of the server or of the connection into the queue's.
func (q *Queue) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redis.ErrClosed):
		return errClosed
	case strings.Contains(err.Error(), "OOM command not allowed"):
		return fmt.Errorf("%w: the memory of the Redis server is used up", deadletter.ErrFull)
	}
	return fmt.Errorf("the dead-letter queue in Redis (%s): %w", q.client.Options().Addr, err)
}

// isReply reports whether err is the answer of a server that did not execute the command.
func isReply(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// errReply is for an answer that no script of ours gives.
var errReply = errors.New("the Redis server gave an answer that is none of the queue's; is it Redis 6.2 or newer, or Valkey?")

// texts returns a reply that is a list of texts.
func texts(reply any) ([]string, error) {
	list, ok := reply.([]any)
	if !ok {
		return nil, errReply
	}
	out := make([]string, len(list))
	for i, v := range list {
		if out[i], ok = v.(string); !ok {
			return nil, errReply
		}
	}
	return out, nil
}
