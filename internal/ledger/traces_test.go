package ledger_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rollbook/internal/ledger"
	"rollbook/internal/rest"
)

// A collector that does not answer holds up nobody, and nothing grows by it.
func TestCollectorThatHangs(t *testing.T) {
	t.Parallel()
	asked, over := make(chan struct{}, 100), make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-over
	}))
	defer collector.Close()
	defer close(over)
	var log bytes.Buffer
	traces, err := ledger.NewTraces(ledger.TraceOptions{Endpoint: collector.URL,
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20000 { // many more than may wait
		traces.Tell(rest.Call{Op: "getAllUsers", At: time.Now()})
		if n == 600 {
			<-asked // the first of them are on their way, and go no further
		}
	}
	traces.Close()
	if !strings.Contains(log.String(), "level=WARN msg=traces") {
		t.Errorf("the log says nothing: %s", &log)
	}
}
