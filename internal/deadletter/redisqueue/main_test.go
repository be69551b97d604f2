package redisqueue

import (
	"os"
	"testing"

	"github.com/datastorage-io/datastorage/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }
