package main

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"strings"

	"rollbook/internal/ledger"
	"rollbook/internal/rest"
)

// traces begins to tell a collector of requests where --otel-endpoint, or the variable that other
// programs know, names one; end is to be called.
func (f *serveFlags) traces(config *rest.Config) (end func(), err error) {
	endpoint := cmp.Or(f.otel, os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	if endpoint == "" {
		return func() {}, nil
	}
	headers := map[string]string{}
	for _, pair := range strings.Split(os.Getenv("OTEL_EXPORTER_OTLP_HEADERS"), ",") {
		name, value, is := strings.Cut(strings.TrimSpace(pair), "=")
		if value, err := url.PathUnescape(value); is && err == nil {
			headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	t, err := ledger.NewTraces(ledger.TraceOptions{Endpoint: endpoint, Headers: headers, Version: version(),
		Service: cmp.Or(os.Getenv("OTEL_SERVICE_NAME"), "rollbook"), Log: config.Log})
	if err != nil {
		return nil, usageError{fmt.Errorf("--otel-endpoint: %w", err)}
	}
	config.Tell = both(config.Tell, t.Tell)
	return t.Close, nil
}

// both lets two hear of each request.
func both(one, other func(rest.Call)) func(rest.Call) {
	return func(c rest.Call) {
		one(c)
		other(c)
	}
}
