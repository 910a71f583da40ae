"""HAProxy: TLS passes through it, or ends there and begins again; the header is of version 2."""

from proxies.site import FRED


def lead(site):
    """A client idles by either way."""
    conf = site.stage.write("haproxy.cfg", site.configuration("haproxy"))
    site.stage.spawn(["/usr/sbin/haproxy", "-db", "-f", conf], "haproxy")
    site.opened(site.front)
    took = site.idle_through(*[(port, FRED, 0) for port in (site.front, site.second)])
    site.limited(site.front, FRED, 0)
    return f"idling clients heard after {took[0]:.3f} s, and {took[1]:.3f} s with TLS ending there"
