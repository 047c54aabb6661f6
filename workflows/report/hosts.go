package report

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"breakglass/store"
)

// host is what one address did.
type host struct {
	calls int
	first time.Time
	agent string // of the first call
}

// maxAgent bounds what a caller says of itself, in bytes.
const maxAgent = 120

// visit counts where a call came from. AWS puts a service's name in place of the address for calls that it makes itself, and its own
// address into the event by which the portal begins a role session.
func (g *Gather) visit(r store.Record) {
	if r.Action == "AssumeRoleWithSAML" {
		return
	}
	a, err := netip.ParseAddr(r.Address)
	if err != nil {
		return
	}
	a = a.Unmap()
	h := g.hosts[a]
	if h == nil {
		if len(g.hosts) >= mostHosts {
			return
		}
		h = new(host)
		g.hosts[a] = h
	}
	h.calls++
	if h.first.IsZero() || r.At.Before(h.first) || r.At.Equal(h.first) && r.Agent < h.agent {
		h.first, h.agent = r.At, cut(r.Agent, maxAgent)
	}
}

// addresses are those that were used most, most used first.
func (g *Gather) addresses() (said []string, hosts []store.Host) {
	all := make([]netip.Addr, 0, len(g.hosts))
	for a := range g.hosts {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(g.hosts[b].calls, g.hosts[a].calls), a.Compare(b))
	})
	for _, a := range all[:min(len(all), mostAddresses)] {
		h := g.hosts[a]
		said = append(said, a.String())
		hosts = append(hosts, store.Host{Address: a.String(), Calls: h.calls, First: store.Moment(h.first), Agent: h.agent})
	}
	return said, hosts
}
