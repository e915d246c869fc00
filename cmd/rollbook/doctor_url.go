package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"rollbook/internal/oneroster"
)

// certificate looks at the files that --cert and --key name.
func (d *doctor) certificate() {
	if d.cert == "" {
		return
	}
	pair, err := tls.LoadX509KeyPair(d.cert, d.key)
	if err != nil {
		d.wrong("certificate", err.Error(), "give --cert and --key the PEM files that belong together")
		return
	}
	d.until(pair.Leaf, d.cert)
	if u, err := url.Parse(d.url); d.url != "" && err == nil {
		if err := pair.Leaf.VerifyHostname(u.Hostname()); err != nil {
			d.wrong("certificate", fmt.Sprintf("%s is not for %s: %v", d.cert, u.Hostname(), err),
				"get a certificate for the name in --url")
		}
	}
}

// until tells how long a certificate is good.
func (d *doctor) until(c *x509.Certificate, whose string) {
	ends := minute(at(c.NotAfter)) + " UTC"
	const do = "renew it; what renews it by itself has failed, or was never set up"
	switch left := c.NotAfter.Sub(d.now); {
	case left <= 0:
		d.wrong("certificate", "that of "+whose+" has ended, on "+ends, do)
	case c.NotBefore.After(d.now):
		d.wrong("certificate", "that of "+whose+" is not good before "+minute(at(c.NotBefore))+" UTC",
			"look at this machine's clock")
	case left < 14*24*time.Hour && left < c.NotAfter.Sub(c.NotBefore)/3: // some live a week
		d.wrong("certificate", "that of "+whose+" ends on "+ends+", "+daysUntil(c.NotAfter, d.now), do)
	default:
		d.ok("certificate", "that of "+whose+" is good until "+ends)
	}
}

// service looks whether the service is reached at --url, and as what it comes through the proxy.
func (d *doctor) service(ctx context.Context) error {
	if d.url == "" {
		d.unchecked("service", "whether it is reached was not looked at", "give --url, as serve is given it")
		return nil
	}
	u, err := publicURL(d.url)
	if err != nil {
		return err
	}
	public := strings.TrimRight(u.String(), "/")
	if u.Scheme == "http" && !loopback(net.JoinHostPort(u.Hostname(), "0")) {
		d.wrong("service", public+" is plain HTTP: secrets and tokens can be read on the way",
			"serve with --cert and --key, or let a proxy end TLS, and give the https:// URL")
	}
	health, ok := d.ask(ctx, public+"/healthz", "service", nil)
	if !ok {
		return nil
	}
	if health.status != http.StatusOK || !strings.Contains(health.body, `"status":"ok"`) {
		d.wrong("service", fmt.Sprintf("%s/healthz answers %d %s: that is not this service", public,
			health.status, begin(health.body)),
			"see that the service runs, and that the proxy sends all paths of this URL to it")
		return nil
	}
	d.ok("service", public+"/healthz answers")
	if health.tls != nil {
		d.until(health.tls, u.Host)
	}
	if apart := d.now.Sub(health.date).Abs(); !health.date.IsZero() && apart > time.Minute {
		d.wrong("clock", fmt.Sprintf("the clock of %s is %s off this machine's", u.Host,
			apart.Round(time.Second)), "set the clocks: readers begin their next delta by the service's")
	}
	d.ready(ctx, public)
	d.proxy(ctx, public)
	return nil
}

// ready tells what /readyz says.
func (d *doctor) ready(ctx context.Context, public string) {
	ready, ok := d.ask(ctx, public+"/readyz", "service", nil)
	if !ok {
		return
	}
	said := map[string]string{}
	_ = json.Unmarshal([]byte(ready.body), &said) // what is no JSON says nothing
	if ready.status != http.StatusOK {
		d.wrong("service", "it is not ready: "+begin(ready.body),
			"look at its log, and at docs/operate.md (is it well?)")
	}
	if standby := said["standby"]; standby != "" {
		d.wrong("service", "the standby is not read from: "+standby,
			"look at the standby that --read-db names")
	}
}

// baseURL is what the service's own page says that its base URL is.
var baseURL = regexp.MustCompile(`<code>(https?://[^<]*)</code>`)

// proxy looks at what comes through what stands in front: the address that the service takes itself to
// be at, and the header with the token.
func (d *doctor) proxy(ctx context.Context, public string) {
	since := len(d.found)
	base := public + oneroster.V1p1.Base
	page, ok := d.ask(ctx, public+"/", "proxy", map[string]string{"Accept": "text/html"})
	if !ok {
		return
	}
	if found := baseURL.FindStringSubmatch(page.body); found == nil {
		d.wrong("proxy", public+"/ does not come to the service",
			"let the proxy send all paths of this URL to it")
	} else if !strings.EqualFold(found[1], base) {
		d.wrong("proxy", fmt.Sprintf("the service takes itself to be at %s, not at %s: links lead astray, "+
			"and signatures (OAuth 1.0a) do not match", found[1], base), "start it with --url "+public+
			", or let the proxy send X-Forwarded-Proto and X-Forwarded-Host and start it with --trust-proxy")
	}
	answer, ok := d.ask(ctx, base+"/orgs?limit=1", "proxy",
		map[string]string{"Authorization": "Bearer doctor"})
	switch {
	case !ok:
	case answer.status == http.StatusUnauthorized && strings.Contains(answer.body, "no credentials"):
		d.wrong("proxy", "the Authorization header does not come to the service", "let the proxy pass it on "+
			"(Apache: CGIPassAuth On; IIS: no Windows authentication)")
	case answer.status != http.StatusUnauthorized || !strings.Contains(answer.body, "not one of ours"):
		d.wrong("proxy", fmt.Sprintf("%s/orgs answers %d %s to a token that is none", base, answer.status,
			begin(answer.body)), "let the proxy send all paths of this URL to the service as they are")
	}
	d.wellOr("proxy", "the service knows its address, and tokens come to it", since)
}

// An asked page is what came of a URL.
type askedPage struct {
	status int
	body   string // at most 64 KiB
	date   time.Time
	tls    *x509.Certificate
}

// ask reads a URL; ok is false where nothing came, which was told.
func (d *doctor) ask(ctx context.Context, at, check string, header map[string]string) (p askedPage, ok bool) {
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		d.wrong(check, err.Error(), "look at --url")
		return p, false
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultTransport.RoundTrip(r) // follows no redirect
	if err != nil {
		d.wrong(check, at+" is not reached: "+plainly(err.Error()), remedyOf(err))
		return p, false
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil {
		d.wrong(check, at+" breaks off: "+plainly(err.Error()), "look at what stands before the service")
		return p, false
	}
	if to := answer.Header.Get("Location"); answer.StatusCode/100 == 3 {
		d.wrong(check, at+" redirects to "+plainly(to)+": readers lose their token on the way",
			"give readers, and --url, the address that it leads to, or end the redirect")
		return p, false
	}
	p.status, p.body = answer.StatusCode, string(body)
	p.date, _ = http.ParseTime(answer.Header.Get("Date")) // none tells nothing
	if answer.TLS != nil && len(answer.TLS.PeerCertificates) > 0 {
		p.tls = answer.TLS.PeerCertificates[0]
	}
	return p, true
}

// remedyOf says what to do about a URL that is not reached.
func remedyOf(err error) string {
	var name *net.DNSError
	var cert *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case errors.As(err, &name):
		return "enter the name in the DNS, or look at --url"
	case errors.As(err, &cert):
		return "let the server send the whole chain of a certificate for this name, of an authority that " +
			"readers trust"
	case errors.Is(err, context.DeadlineExceeded):
		return "open the port in the firewall, and see that the service answers"
	case errors.As(err, &op) && op.Op == "dial":
		return "start the service, or what stands before it, and look at the port"
	}
	return "look at what answers at this address"
}

// begin is what an answer begins with, on one line.
func begin(body string) string {
	line := plainly(strings.Join(strings.Fields(body), " "))
	if len(line) > 80 {
		line = strings.ToValidUTF8(line[:80], "") + "…"
	}
	return line
}
