package redisqueue

import (
	"fmt"
	"os"
	"testing"

	"github.com/datastorage-io/datastorage/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run makes an authority that this process trusts, as it would one of the machine, and runs the tests.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "datastorage-authority-")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer os.RemoveAll(dir)
	if trusted, err = newCertificate(dir); err == nil {
		// It is read once, with the first certificate that is verified.
		err = os.Setenv("SSL_CERT_FILE", trusted.cert)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return redistest.Main(m)
}
