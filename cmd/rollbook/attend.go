package main

import (
	"context"
	"log/slog"
	"time"

	"rollbook/internal/auth"
)

// keepEvery is how often it is kept what secrets were used: what a kill loses.
const keepEvery = 5 * time.Second

// attend does what is to be done beside a service: it keeps when secrets were used, and tells once
// a day of those that end. What it returns ends it.
func (o *opened) attend(ctx context.Context, gate *auth.Gate, log *slog.Logger) (end func()) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // the last answers come after the end
	ended := make(chan struct{})
	told := false
	keep := func(ctx context.Context) {
		err := gate.KeepUses(ctx)
		if err != nil && !told {
			log.Warn("secrets", "problem", "when they were used cannot be kept now", "error", err)
		}
		told = err != nil
	}
	go func() {
		defer close(ended)
		soon, daily := time.NewTicker(keepEvery), time.NewTicker(24*time.Hour)
		defer soon.Stop()
		defer daily.Stop()
		o.tellSecrets(ctx, log)
		for {
			select {
			case <-ctx.Done():
				return
			case <-soon.C:
				keep(ctx)
			case <-daily.C:
				o.tellSecrets(ctx, log)
			}
		}
	}()
	return func() {
		stop()
		<-ended
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepEvery)
		defer cancel()
		keep(last)
	}
}

// tellSecrets lets the log have what is to be done about secrets, and forgets what lies behind links
// that were not opened in time.
func (o *opened) tellSecrets(ctx context.Context, log *slog.Logger) {
	now := time.Now()
	clients, err := o.Clients(ctx)
	if err == nil {
		err = o.ForgetHandovers(ctx, now)
	}
	if err != nil && ctx.Err() == nil {
		log.Warn("secrets", "problem", "they cannot be looked at", "error", err)
	}
	for _, c := range clients {
		if wrong, do := secretNote(c, now); wrong != "" {
			log.Warn("secrets", "client", c.ID, "problem", wrong, "do", do)
		}
	}
}

// feeds does beside a service what is due of sources and the like, until it is told to end.
func (o *opened) feeds(ctx context.Context, log *slog.Logger) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.Feeds(log).Serve(ctx)
	}()
	return func() {
		stop()
		<-ended
	}
}
