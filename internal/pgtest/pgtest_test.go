package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/datastorage-io/datastorage/internal/pgtest"
)

// victimVariable makes the test binary a program that starts a server, says where, and waits to be killed.
const victimVariable = "DATASTORAGE_PGTEST_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		victim()
		return
	}
	os.Exit(pgtest.Main(m, func(ctx context.Context, url string) error {
		return exec1(ctx, url, "CREATE TABLE migrated (n int)")
	}))
}

func victim() {
	s, err := pgtest.Launch(context.Background(), pgtest.Options{})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println(s.PID(), s.Dir())
	select {}
}

func exec1(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

func count(t *testing.T, url, sql string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNew(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			url := pgtest.New(t)
			if err := exec1(t.Context(), url, "INSERT INTO migrated VALUES (1)"); err != nil {
				t.Fatal(err)
			}
			if n := count(t, url, "SELECT count(*) FROM migrated"); n != 1 {
				t.Errorf("the database holds %d rows: it is shared with another test", n)
			}
			if n := count(t, url, "SELECT count(*) FROM pg_roles WHERE rolname = current_user AND rolsuper"); n != 0 {
				t.Error("the role of the tests is a superuser")
			}
		})
	}
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	if n := count(t, pgtest.Empty(t), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); n != 0 {
		t.Errorf("the empty database has %d tables", n)
	}
}

func TestServer_Restart(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{Durable: true})
	url, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := exec1(t.Context(), url, "CREATE TABLE kept AS SELECT 1 AS n"); err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func() error{"Kill": s.Kill, "Shutdown": s.Shutdown} {
		if err := end(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := exec1(t.Context(), url, "SELECT 1"); err == nil || s.PID() != 0 {
			t.Fatalf("after %s the server still answers", name)
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatalf("restart after %s: %v", name, err)
		}
		if n := count(t, url, "SELECT n FROM kept"); n != 1 {
			t.Errorf("after %s the table holds %d", name, n)
		}
	}
}

func TestServer_Pause(t *testing.T) {
	t.Parallel()
	s := pgtest.Start(t, pgtest.Options{})
	if err := s.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := exec1(ctx, s.URL("postgres"), "SELECT 1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a paused server answers: %v", err)
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := exec1(t.Context(), s.URL("postgres"), "SELECT 1"); err != nil {
		t.Errorf("a resumed server does not answer: %v", err)
	}
}

func TestLaunch_KilledProcessLeavesNothing(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimVariable+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	var dir string
	if _, err := fmt.Sscan(line, &pid, &dir); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	eventually(t, "the directory "+dir+" is removed", func() bool {
		_, err := os.Stat(dir)
		return errors.Is(err, os.ErrNotExist)
	})
	eventually(t, "the server is gone", func() bool { return syscall.Kill(pid, 0) != nil || isZombie(pid) })
}

// isZombie reports whether the process ended but was not reaped by whoever inherited it.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// eventually waits until an outside process has done what it must.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not so after 20 s: %s", what)
		}
	}
}
