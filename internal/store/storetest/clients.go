package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rollbook/internal/auth"
	"rollbook/internal/store"
)

// secret of a client that has one.
func secret(id string, expires time.Time) auth.Secret {
	return auth.Secret{ID: id, Hash: "hash of " + id, Sealed: "sealed " + id, Created: time.Date(2026, 1, 2,
		3, 4, 5, 6000, time.UTC), Expires: expires}
}

func (t *trial) add(id string, secrets ...auth.Secret) auth.Client {
	t.Helper()
	c := auth.Client{ID: id, Name: "The " + id, Scopes: []string{"a", "b"}, OAuth1: len(secrets) > 0,
		Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Secrets: secrets}
	t.must(t.s.AddClient(ctx, c))
	return c
}

func (t *trial) client(id string) *auth.Client {
	t.Helper()
	c, err := t.s.Client(ctx, id)
	t.must(err)
	return c
}

func (t *trial) version() int64 {
	t.Helper()
	v, err := t.s.Version(ctx)
	t.must(err)
	return v
}

func (t *trial) links() []auth.Handover {
	t.Helper()
	all, err := t.s.Handovers(ctx)
	t.must(err)
	return all
}

func ranges(t *trial, texts ...string) []netip.Prefix {
	t.Helper()
	out, err := auth.ParseRanges(texts)
	t.must(err)
	return out
}

var clients = []promise{
	{"a client is kept whole", func(t *trial) {
		b := t.add("b", secret("b1", time.Time{}), secret("b2", t.now))
		a := t.add("a")
		t.equal("b", *t.client("b"), b)
		t.equal("nobody", t.client("B"), (*auth.Client)(nil))
		for _, id := range []string{"\xff", "\x00b", "b\x00"} { // which PostgreSQL refuses
			t.equal("a text that cannot be an id", t.client(id), (*auth.Client)(nil))
		}
		all, err := t.s.Clients(ctx)
		t.must(err)
		t.equal("all", all, []auth.Client{a, b})
	}},
	{"an id that is taken is refused, and its client stays as it is", func(t *trial) {
		c := t.add("c", secret("c1", time.Time{}))
		if err := t.s.AddClient(ctx, auth.Client{ID: "c", Name: "Other", Secrets: []auth.Secret{secret("c2",
			time.Time{})}}); err == nil {
			t.Error("it was taken")
		}
		t.equal("c", *t.client("c"), c)
	}},
	{"of clients of one name that are added at once, by several processes, one is taken", func(t *trial) {
		other := Open(t.T, t.dsn, store.Options{})
		for round := range 10 {
			var taken atomic.Int64
			var all sync.WaitGroup
			for n := range 8 {
				s := map[bool]*store.Store{true: t.s, false: other}[n%2 == 0]
				name := map[bool]string{true: "The round ", false: "THE ROUND "}[n%3 == 0] + fmt.Sprint(round)
				all.Go(func() {
					err := s.AddClient(ctx, auth.Client{ID: fmt.Sprint(round, "-", n), Name: name})
					if err == nil {
						taken.Add(1)
					} else if !strings.Contains(err.Error(), "there is a client of the name") {
						t.Error(err)
					}
				})
			}
			all.Wait()
			t.equal(fmt.Sprint("round ", round), taken.Load(), int64(1))
		}
	}},
	{"a removed client leaves no secret", func(t *trial) {
		t.add("c", secret("c1", time.Time{}))
		d := t.add("d", secret("d1", time.Time{}))
		t.must(t.s.RemoveClient(ctx, "c"))
		t.equal("c", t.client("c"), (*auth.Client)(nil))
		if err := t.s.RemoveClient(ctx, "c"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("once more: %v", err)
		}
		t.add("c")
		t.equal("one of the same name", len(t.client("c").Secrets), 0)
		t.equal("d", *t.client("d"), d)
	}},
	{"old secrets end when a new one comes, and none later than it would have", func(t *trial) {
		early, end, late := t.now.Add(time.Hour), t.now.Add(3*time.Hour), t.now.Add(5*time.Hour)
		t.add("c", secret("1", time.Time{}), secret("2", early), secret("3", late))
		d := t.add("d", secret("4", time.Time{}))
		t.must(t.s.RotateSecret(ctx, "c", secret("5", time.Time{}), end))
		ends := map[string]time.Time{}
		for _, s := range t.client("c").Secrets {
			ends[s.ID] = s.Expires
		}
		t.equal("ends", ends, map[string]time.Time{"1": end, "2": early, "3": end, "5": {}})
		t.equal("another's", *t.client("d"), d)
		if err := t.s.RotateSecret(ctx, "nobody", secret("6", time.Time{}), end); !errors.Is(err,
			store.ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
		t.add("nobody")
		t.equal("nobody", len(t.client("nobody").Secrets), 0)
	}},
	{"an unknown id is looked for as long as a known one", func(t *trial) {
		t.add("c", secret("c1", time.Time{}))
		t.byHand(`ALTER TABLE "secrets" RENAME TO "elsewhere"`)
		for _, id := range []string{"c", "nobody", "\xff"} {
			if _, err := t.s.Client(ctx, id); err == nil {
				t.Errorf("%q: its secrets were not asked for", id)
			}
		}
	}},
	{"a client has its limits, and a database of an earlier program lets all come from anywhere",
		func(t *trial) {
			c := t.add("c", secret("c1", time.Time{}))
			d := t.add("d")
			c.Allowed, c.Budget = ranges(t, "192.0.2.0/24", "2001:db8::1/128"), auth.Budget{PerMinute: 60,
				AtOnce: 4}
			before := t.version()
			t.must(t.s.Limit(ctx, "c", c.Allowed, c.Budget))
			if t.version() == before {
				t.Error("what was read of it before holds on")
			}
			t.equal("c", *t.client("c"), c)
			t.equal("d", *t.client("d"), d)
			if err := t.s.Limit(ctx, "nobody", nil, auth.Budget{}); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("nobody: %v", err)
			}
			for table, columns := range map[string][]string{"clients": {"allowed", "perMinute", "atOnce"},
				"secrets": {"used", "usedFrom"}} {
				for _, column := range columns {
					t.byHand(`ALTER TABLE "` + table + `" DROP COLUMN "` + column + `"`)
				}
			}
			t.byHand(`DROP TABLE "handovers"`)
			t.byHand(`DELETE FROM "migrations" WHERE "number" = 8`)
			t.open()
			c.Allowed, c.Budget, c.Secrets[0].From = nil, auth.Budget{}, "?"
			t.equal("c", *t.client("c"), c)
			t.equal("whether it was used", c.Secrets[0].Unused(), false)
			t.add("e", secret("e1", time.Time{}))
			t.equal("whether a new one was", t.client("e").Secrets[0].Unused(), true)
			t.must(t.s.KeepHandover(ctx, auth.Handover{Client: "c", Hash: "h", Sealed: "s", Expires: t.now}))
		}},
	{"the latest use of a secret is kept, whichever process was told of it, and clients are not read anew",
		func(t *trial) {
			c := t.add("c", secret("c1", time.Time{}), secret("c2", time.Time{}))
			other := Open(t.T, t.dsn, store.Options{})
			before := t.version()
			first, second := auth.Use{At: t.now, From: "192.0.2.1"}, auth.Use{At: t.now.Add(time.Second),
				From: "2001:db8::1"}
			t.must(t.s.KeepUses(ctx, map[string]auth.Use{"c1": second, "nobody": first}))
			t.must(other.KeepUses(ctx, map[string]auth.Use{"c1": first}))
			t.equal("version", t.version(), before)
			c.Secrets[0].Used, c.Secrets[0].From = second.At, second.From
			t.equal("c", *t.client("c"), c)
		}},
	{"a link is opened by one of those who open it at once, in several processes", func(t *trial) {
		other := Open(t.T, t.dsn, store.Options{})
		for round := range 5 {
			hash := fmt.Sprint("hash", round)
			h := auth.Handover{Client: "c", Hash: hash, Sealed: "sealed", Created: t.now,
				Expires: t.now.Add(time.Hour)}
			t.must(t.s.KeepHandover(ctx, h)) // in place of the last one
			t.equal("before", t.links(), []auth.Handover{h})
			var opened atomic.Int64
			var all sync.WaitGroup
			for n := range 6 {
				s := map[bool]*store.Store{true: t.s, false: other}[n%2 == 0]
				all.Go(func() {
					sealed, err := s.OpenHandover(ctx, hash, t.now.Add(time.Minute), "192.0.2.1")
					if err == nil && sealed == "sealed" {
						opened.Add(1)
					} else if !errors.Is(err, store.ErrNotFound) {
						t.Error(sealed, err)
					}
				})
			}
			all.Wait()
			t.equal("opened", opened.Load(), int64(1))
			h.Sealed, h.Opened, h.From = "", t.now.Add(time.Minute), "192.0.2.1"
			t.equal("after", t.links(), []auth.Handover{h})
		}
		unknown, err := t.s.Handover(ctx, "hash0")
		t.must(err)
		t.equal("an earlier one", unknown, (*auth.Handover)(nil))
	}},
	{"a link that has ended, was replaced or whose client has gone opens nothing", func(t *trial) {
		link := func(client string) auth.Handover {
			h := auth.Handover{Client: client, Hash: "hash of " + client, Sealed: "sealed", Created: t.now,
				Expires: t.now.Add(time.Hour)}
			t.must(t.s.KeepHandover(ctx, h))
			return h
		}
		opens := func(what, client string, at time.Time, want bool) {
			t.Helper()
			sealed, err := t.s.OpenHandover(ctx, "hash of "+client, at, "192.0.2.1")
			if (err == nil) != want || (sealed == "sealed") != want || !want && !errors.Is(err,
				store.ErrNotFound) {
				t.Errorf("%s: %q, %v", what, sealed, err)
			}
		}
		for _, id := range []string{"late", "rotated", "removed", "forgotten", "kept"} {
			t.add(id, secret("of "+id, time.Time{}))
			link(id)
		}
		opens("at its end", "late", t.now.Add(time.Hour), false)
		opens("just before its end", "late", t.now.Add(time.Hour-time.Microsecond), true)
		t.must(t.s.RotateSecret(ctx, "rotated", auth.Secret{ID: "new", Created: t.now.Add(time.Minute)},
			t.now))
		opens("its client has another secret", "rotated", t.now, false)
		t.must(t.s.RemoveClient(ctx, "removed"))
		opens("its client has gone", "removed", t.now, false)
		t.must(t.s.ForgetHandovers(ctx, t.now.Add(time.Hour-time.Microsecond)))
		opens("before they are forgotten", "kept", t.now, true)
		t.must(t.s.ForgetHandovers(ctx, t.now.Add(time.Hour)))
		opens("forgotten", "forgotten", t.now, false)
		states := map[string]string{}
		for _, h := range t.links() {
			states[h.Client] = fmt.Sprint(h.Sealed, !h.Opened.IsZero(), h.Ended(t.now), h.Expires.Sub(t.now))
		}
		t.equal("links", states, map[string]string{"late": "true false 1h0m0s", "kept": "true false 1h0m0s",
			"rotated": "false true 1m0s", "forgotten": "false true 1h0m0s"})
	}},
	{"clients come and go without time passing on the clock", func(t *trial) {
		t.add("c", secret("c1", time.Time{}))
		t.must(t.s.RotateSecret(ctx, "c", secret("c2", time.Time{}), t.now))
		t.must(t.s.RemoveClient(ctx, "c"))
		empty, err := t.s.Empty(ctx)
		t.must(err)
		t.equal("empty", empty, true)
		t.equal("the first time", t.put("category", "sourcedId", "k", "title", "x").Get("dateLastModified"),
			"2026-09-01T08:00:00.000Z")
	}},
	{"a nonce is used once, by each client at each time, and is forgotten when it has expired",
		func(t *trial) {
			at, end := t.now, t.now.Add(10*time.Minute)
			for _, c := range []struct {
				client, nonce string
				at            time.Time
				pass          time.Duration
				fresh         bool
			}{
				{"c", "n", at, 0, true}, {"c", "n", at, 0, false}, {"c", "N", at, 0, true}, {"d", "n", at, 0,
					true}, {"c", "n", at.Add(time.Second), 0, true},
				{"c", "n", at, 9 * time.Minute, false}, {"c", "n", at, time.Minute, false}, {"c", "n", at,
					time.Second, true},
			} {
				t.tick(c.pass)
				fresh, err := t.s.UseNonce(ctx, c.client, c.nonce, c.at, end)
				t.must(err)
				t.equal(fmt.Sprintf("%+v", c), fresh, c.fresh)
			}
			t.open()
			fresh, err := t.s.UseNonce(ctx, "e", "n", at, t.now.Add(time.Hour))
			t.must(err)
			t.open()
			again, err := t.s.UseNonce(ctx, "e", "n", at, t.now.Add(time.Hour))
			t.must(err)
			t.equal("after the service has started again", []bool{fresh, again}, []bool{true, false})
		}},
	{"the signing key is made once, and forgotten with all that its key sealed", func(t *trial) {
		sealed := func() string {
			text, err := t.s.Sealed(ctx)
			t.must(err)
			return text
		}
		t.equal("nothing is sealed", sealed(), "")
		t.add("plain", auth.Secret{ID: "p", Hash: "h"})
		t.equal("nothing is sealed", sealed(), "")
		t.add("c", secret("c1", time.Time{}))
		t.equal("a secret is", sealed(), "sealed c1")
		key := func(make func() (string, error)) string {
			t.Helper()
			got, err := t.s.SigningKey(ctx, make)
			t.must(err)
			return got
		}
		// Another process is first while this one makes its own.
		other := Open(t.T, t.dsn, store.Options{})
		t.equal("made", key(func() (string, error) {
			_, err := other.SigningKey(ctx, func() (string, error) { return "one", nil })
			return "two", err
		}), "one")
		t.equal("kept", key(func() (string, error) { return "three", errCut }), "one")
		t.equal("the key is", sealed(), "one")
		t.must(t.s.ForgetSealed(ctx))
		t.equal("nothing is sealed", sealed(), "")
		got := t.client("c").Secrets[0]
		t.equal("the secret", got.Hash+got.Sealed, "hash of c1")
		if _, err := t.s.SigningKey(ctx, func() (string, error) { return "", errCut }); !errors.Is(err,
			errCut) {
			t.Errorf("a key that cannot be made: %v", err)
		}
		t.equal("made anew", key(func() (string, error) { return "four", nil }), "four")
	}},
}
