package pgtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// templateName is the migrated database of a server.
const templateName = "datastorage_template"

// shared is the server of the test process.
var shared struct {
	migrate Migrate
	once    sync.Once
	server  *Server
	err     error
}

// Main runs the tests of a package and returns the exit code for os.Exit. migrate makes the schema that every database
// of New has; nil leaves them empty. The server starts with the first New and is gone when Main returns.
func Main(m *testing.M, migrate Migrate) int {
	if migrate == nil {
		migrate = func(context.Context, string) error { return nil }
	}
	shared.migrate = migrate
	code := m.Run()
	// A server that never started needs no end, and must not start now.
	shared.once.Do(func() {})
	if shared.server == nil {
		return code
	}
	if err := shared.server.Stop(); err != nil {
		fmt.Println("pgtest: stop the server:", err)
		return max(code, 1)
	}
	return code
}

// New returns the URL of a migrated database of the test's own, which is dropped at its end.
func New(t testing.TB) string {
	t.Helper()
	url, err := Shared(t).Clone(t.Context(), shared.migrate)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	dropAfter(t, Shared(t), url)
	return url
}

// Empty returns the URL of an empty database of the test's own, which is dropped at its end.
func Empty(t testing.TB) string {
	t.Helper()
	url, err := Shared(t).Create(t.Context())
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	dropAfter(t, Shared(t), url)
	return url
}

func dropAfter(t testing.TB, s *Server, url string) {
	t.Cleanup(func() {
		if err := s.Drop(context.WithoutCancel(t.Context()), url); err != nil {
			t.Errorf("pgtest: drop the database: %v", err)
		}
	})
}

// Shared returns the server of the test process and starts it when it does not run yet.
func Shared(t testing.TB) *Server {
	t.Helper()
	if shared.migrate == nil {
		t.Fatal("pgtest: call pgtest.Main from TestMain")
	}
	shared.once.Do(func() {
		shared.server, shared.err = Launch(context.Background(), Options{})
	})
	if shared.err == nil && shared.server == nil {
		shared.err = errors.New("the server has stopped already")
	}
	if shared.err != nil {
		t.Fatalf("pgtest: %v", shared.err)
	}
	return shared.server
}

// Create creates an empty database owned by Role and returns its URL.
func (s *Server) Create(ctx context.Context) (string, error) {
	name := s.nextName()
	if err := s.exec(ctx, "CREATE DATABASE "+name+" OWNER "+Role); err != nil {
		return "", fmt.Errorf("create a database: %w", err)
	}
	return s.URL(name), nil
}

// Clone creates a database with the schema that migrate makes and returns its URL. The first call migrates a template;
// all others copy it, whatever their migrate is.
func (s *Server) Clone(ctx context.Context, migrate Migrate) (string, error) {
	s.template.once.Do(func() {
		if s.template.err = s.exec(ctx, "CREATE DATABASE "+templateName+" OWNER "+Role); s.template.err == nil {
			s.template.err = migrate(ctx, s.URL(templateName))
		}
	})
	if s.template.err != nil {
		return "", fmt.Errorf("migrate the template database: %w", s.template.err)
	}
	name := s.nextName()
	if err := s.exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+templateName+" OWNER "+Role); err != nil {
		return "", fmt.Errorf("clone the template database: %w", err)
	}
	return s.URL(name), nil
}

// Drop drops the database at url, which Create or Clone returned, and ends its sessions.
func (s *Server) Drop(ctx context.Context, url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	return s.exec(ctx, "DROP DATABASE "+pgx.Identifier{config.Database}.Sanitize()+" WITH (FORCE)")
}

// nextName returns the name of a new database; it needs no quotes.
func (s *Server) nextName() string { return fmt.Sprintf("test_%d", s.names.Add(1)) }
