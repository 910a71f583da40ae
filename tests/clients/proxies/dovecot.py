"""Dovecot as a proxy: a table that authhost writes says where users are."""

from proxies.site import FRED, HOSTS, MARY

# What a packaged Dovecot has by itself, here for an instance of its own.
OWN = """
base_dir = {home}/run
state_dir = {home}/run
log_path = /dev/stderr
instance_name = proxy
default_login_user = dovenull
default_internal_user = dovecot
"""


def lead(site):
    """Each client idles at the host of its user."""
    home = site.stage.home
    table = site.tool(0, "authhost", "--dovecot", "--map", site.map(fred=HOSTS[0], mary=HOSTS[1]))
    site.stage.write("hosts", table, 0o644)
    conf = OWN.format(home=home) + site.configuration("dovecot")
    conf = site.stage.write("dovecot.conf", conf, 0o644)
    site.stage.spawn(["/usr/sbin/dovecot", "-F", "-c", conf], "dovecot")
    site.opened(site.front)
    took = site.idle_through(*[(site.front, user, host) for host, user in enumerate((FRED, MARY))])
    site.limited(site.front, FRED, 0)
    return f"idling clients heard after {took[0]:.3f} s and {took[1]:.3f} s, each from its host"
