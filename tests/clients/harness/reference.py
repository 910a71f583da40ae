"""A Dovecot of our own on free ports of loopback, to try the drivers on a server known to be good."""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

CONFIGURATION = """
base_dir = {dir}/run
state_dir = {dir}/run
log_path = {dir}/log
instance_name = reference
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_username_format = %Ln
default_login_user = dovenull
default_internal_user = dovecot
first_valid_uid = 1
mail_location = maildir:~/Maildir
mail_max_userip_connections = 100
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={dir}/home/%n allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
}}
"""


class Dovecot:
    """Runs until it is closed; `imap` and `lmtp` are where it listens."""

    def __init__(self, password):
        from harness.stage import free_port

        self._dir = Path(tempfile.mkdtemp(prefix="reference-"))
        self._dir.chmod(0o755)
        home = self._dir / "home"
        home.mkdir()
        shutil.chown(home, "mail", "mail")
        self.imap = ("127.0.0.1", free_port())
        self.lmtp = ("127.0.0.1", free_port())
        self._conf = self._dir / "dovecot.conf"
        self._conf.write_text(CONFIGURATION.format(
            dir=self._dir, imap=self.imap[1], lmtp=self.lmtp[1], password=password
        ))
        subprocess.run(["dovecot", "-c", self._conf], check=True)
        for where in (self.imap, self.lmtp):
            socket.create_connection(where, timeout=10).close()

    def close(self):
        """Stops it and removes its files."""
        subprocess.run(["dovecot", "-c", self._conf, "stop"], check=True)
        shutil.rmtree(self._dir, ignore_errors=True)
