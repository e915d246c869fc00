package auth

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// ParseRanges reads ranges of addresses, such as 192.0.2.0/24 and 2001:db8::/32; an address is a
// range of one.
func ParseRanges(texts []string) (out []netip.Prefix, err error) {
	for _, text := range texts {
		r, err := netip.ParsePrefix(text)
		if err != nil {
			a, wrong := netip.ParseAddr(text)
			if wrong != nil || a.Zone() != "" || strings.Contains(text, "/") {
				return nil, fmt.Errorf("%q is neither an address nor a range such as 192.0.2.0/24 or "+
					"2001:db8::/32", text)
			}
			r = netip.PrefixFrom(a, a.BitLen())
		}
		if a := r.Addr(); a.Is4In6() && r.Bits() >= 96 { // an address of IPv4 all the same
			r = netip.PrefixFrom(a.Unmap(), r.Bits()-96)
		}
		out = append(out, r.Masked())
	}
	return out, nil
}

// address is who sends a request, without the port; the zero Addr where nobody can tell.
func address(r *http.Request) netip.Addr {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return at.Addr().Unmap().WithZone("")
	}
	a, _ := netip.ParseAddr(r.RemoteAddr)
	return a.Unmap().WithZone("")
}

// from is the address of a request as people read it.
func from(r *http.Request) string {
	if a := address(r); a.IsValid() {
		return a.String()
	}
	return r.RemoteAddr
}

// elsewhere tells whether a request comes from none of the addresses that are allowed.
func elsewhere(allowed []netip.Prefix, r *http.Request) bool {
	if len(allowed) == 0 {
		return false
	}
	a := address(r)
	for _, in := range allowed {
		if in.Contains(a) {
			return false
		}
	}
	return true
}

func notFrom(r *http.Request) string {
	return "this client is not let in from " + from(r) + ": whoever runs the service says from where it " +
		"may " +
		"come (rollbook client allow)"
}
