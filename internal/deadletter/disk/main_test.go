package disk

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roleVariable makes the test binary another process that uses a queue: its value names what it does.
const roleVariable = "DEADLETTER_DISK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "write":
		writeUntilKilled(os.Args[1])
	case "limited":
		writeUntilLimit(os.Args[1])
	case "hold":
		holdQueue(os.Args[1])
	default:
		goleak.VerifyTestMain(m)
	}
}
