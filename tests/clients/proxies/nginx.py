"""nginx: authhost tells where users are, `stream` speaks TLS with their hosts."""

from proxies.site import FRED, HOSTS, MARY


def lead(site):
    """Each client idles at the host of its user, and is refused while the user is being moved."""
    site.map(fred=HOSTS[0], mary=HOSTS[1])
    site.serve_authhost()
    start(site)
    took = site.idle_through(*[(site.front, user, host) for host, user in enumerate((FRED, MARY))])
    site.limited(site.front, FRED, 0)
    refused(site, "nobody@example.org", "AUTHENTICATIONFAILED")
    mistyped(site)
    site.map(fred="moving", mary=HOSTS[1])
    refused(site, FRED, "UNAVAILABLE")
    return f"idling clients heard after {took[0]:.3f} s and {took[1]:.3f} s, each from its host"


def start(site):
    """Starts it in the foreground, with what it writes in the stage's folder."""
    home = site.stage.home
    conf = site.stage.write("nginx.conf", site.configuration("nginx"))
    beside = f"daemon off; pid {home}/nginx.pid; error_log stderr info;"
    argv = ["/usr/sbin/nginx", "-e", "stderr", "-g", beside, "-c", conf]
    site.stage.spawn(argv, "nginx")
    site.opened(site.front)


def mistyped(site):
    """Who has mistyped a password is told what the host says, and not only cut off."""
    right, site.password = site.password, "mistyped"
    try:
        refused(site, FRED, "AUTHENTICATIONFAILED")
    finally:
        site.password = right


def refused(site, user, code):
    """The proxy itself says no."""
    try:
        site.client(site.front, user).shutdown()
    except Exception as no:
        assert code in str(no), f"{user} was refused with {no}"
    else:
        raise AssertionError(f"{user} was let in")
