package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// tierNames lists the tiers in the order in which they run: what is fast and near the fault comes first.
var tierNames = []string{"unit", "integration", "redis", "e2e"}

// testBinary is what "go list -test" says of one package's tests: the import path ends in ".test", and Deps holds all that is
// linked in.
type testBinary struct {
	ImportPath string
	Deps       []string
}

// listTiers sorts the packages that match the patterns and have tests into tiers.
func listTiers(ctx context.Context, patterns []string) (map[string][]string, error) {
	args := append([]string{"list", "-test", "-json=ImportPath,Deps"}, patterns...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	tiers := map[string][]string{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var b testBinary
		if err := decoder.Decode(&b); errors.Is(err, io.EOF) {
			return tiers, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if pkg, isTest := strings.CutSuffix(b.ImportPath, ".test"); isTest {
			tier := b.tier()
			tiers[tier] = append(tiers[tier], pkg)
		}
	}
}

func (b testBinary) tier() (tier string) {
	if strings.Contains(b.ImportPath, "/test/e2e") || strings.Contains(b.ImportPath, "/test/chaos") {
		return "e2e"
	}
	tier = "unit"
	for _, dep := range b.Deps {
		dep, _, _ = strings.Cut(dep, " ") // "path [tested package]" names a variant built for a test
		switch {
		case strings.HasSuffix(dep, "/internal/redistest"):
			return "redis"
		case strings.HasSuffix(dep, "/internal/pgtest"):
			tier = "integration"
		}
	}
	return tier
}

// redisTests matches the tests of the tier e2e that need a Redis server.
const redisTests = "^TestRedis_"

// redisMissing says what to do when tests that need a Redis server cannot run; "" when there is one.
func redisMissing(lookPath func(string) (string, error)) string {
	for _, program := range []string{"redis-server", "valkey-server"} {
		if _, err := lookPath(program); err == nil {
			return ""
		}
	}
	return "there is neither redis-server nor valkey-server on this machine; on Debian and Ubuntu: apt-get install redis-server"
}
