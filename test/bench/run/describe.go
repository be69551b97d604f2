package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// shownSettings are the settings of PostgreSQL that decide about its speed.
var shownSettings = []string{
	"server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "wal_level", "wal_compression",
	"shared_buffers", "max_wal_size", "checkpoint_timeout", "autovacuum", "max_connections", "lc_collate",
}

// describe prints what is measured, where, and how.
func (l *lab) describe(ctx context.Context, w io.Writer) error {
	settings, err := l.settings(ctx)
	if err != nil {
		return err
	}
	version, err := output(ctx, nil, l.server, "version")
	if err != nil {
		return err
	}
	p := l.plan
	_, err = fmt.Fprintf(w, `- %s, %s
- %s; data below %s
- PostgreSQL: %s
- plan: medians of %d rounds of %v after %v of warm-up, each after a CHECKPOINT; events of 1000 bytes

`, time.Now().UTC().Format("2006-01-02 15:04 MST"), strings.TrimSpace(string(version)), machine(), os.TempDir(), strings.Join(settings, ", "), p.rounds, p.duration, p.warmup)
	return err
}

// settings returns "name=value" for each of shownSettings.
func (l *lab) settings(ctx context.Context) (settings []string, err error) {
	db, err := pgx.Connect(ctx, l.postgres.AdminURL("postgres"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close(context.WithoutCancel(ctx))) }()
	for _, name := range shownSettings {
		var value string
		if err := db.QueryRow(ctx, "SHOW "+name).Scan(&value); err != nil {
			return nil, err
		}
		settings = append(settings, name+"="+value)
	}
	return settings, nil
}

// machine describes the processor, the memory and the kernel, as far as /proc tells.
func machine() string {
	parts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	if model := procValue("/proc/cpuinfo", "model name"); model != "" {
		parts = append(parts, model)
	}
	if memory := procValue("/proc/meminfo", "MemTotal"); memory != "" {
		parts = append(parts, memory+" of memory")
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		parts = append(parts, runtime.GOOS+" "+strings.TrimSpace(string(release)))
	}
	return strings.Join(parts, ", ")
}

// procValue returns the value of the first "name: value" in a file, "" when
// there is none.
func procValue(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		key, value, found := strings.Cut(line, ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
