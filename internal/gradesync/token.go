package gradesync

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"rollbook/internal/provider"
)

// early is how long before its end Grade Sync gives a token up.
const early = 5 * time.Minute

// connect gets the first token, and checks what Grade Sync asks of one: it asks for no
// scope, takes the end from the token itself, and gives it up early.
func (r *run) connect(ctx context.Context) error {
	if r.p.OAuth1 {
		r.warn("signed with OAuth 1.0a: the token that Grade Sync needs is not tried")
		return nil
	}
	r.p.Scope, r.p.Renew = "", r.renewal
	_, err := r.p.Token(ctx)
	return err
}

// renewal is when Grade Sync gives a token up. The error stands after "the access token".
func (r *run) renewal(g provider.Grant) (time.Time, error) {
	ends, err := ending(g.AccessToken)
	if err != nil {
		return ends, err
	}
	if left := ends.Sub(r.p.Now()); left <= early {
		return ends, fmt.Errorf("ends at %s, in %v: Grade Sync renews a token five minutes before its end, "+
			"so this one would be asked for anew at every call; let tokens live for an hour",
			ends.UTC().Format(time.RFC3339), left.Round(time.Second))
	}
	return ends.Add(-early), nil
}

// ending reads when a JWT ends (RFC 7519 §4.1.4). Its signature is the
// provider's business.
func ending(token string) (time.Time, error) {
	opaque := errors.New("is not a JWT (three parts with points between them, each base64url): Grade Sync " +
		"reads it to learn when it ends, and gives the connection up; answer with a signed JWT that has exp")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, opaque
	}
	var members [2]map[string]json.RawMessage
	for i := range members {
		text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[i], "="))
		if err != nil || json.Unmarshal(text, &members[i]) != nil {
			return time.Time{}, opaque
		}
	}
	raw, ok := members[1]["exp"]
	if !ok {
		return time.Time{}, errors.New("is a JWT without exp: to Grade Sync it has ended already, and the " +
			"connection is given up; add exp, in seconds since 1970")
	}
	var seconds float64
	if err := json.Unmarshal(raw, &seconds); err != nil {
		return time.Time{}, fmt.Errorf("has the exp %s: Grade Sync reads a number there, seconds since "+
			"1970, and gives the connection up", raw)
	}
	return time.Unix(int64(min(max(seconds, 0), 1<<40)), 0), nil // any number, without an overflow
}
