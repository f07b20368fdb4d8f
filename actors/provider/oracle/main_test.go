package oracle

import (
	"io"
	"log"
	"testing"

	"go.uber.org/goleak"
)

// Google's library writes to the standard logger about every stream that breaks;
// a dependency of it starts a worker on import.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}
