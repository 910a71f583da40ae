"""imapfilter: a Lua configuration that idles on INBOX and prints the subjects of unseen mail."""

NEEDS = ["imapfilter"]

CONFIGURATION = """
options.starttls = false
options.timeout = 30
io.stdout:setvbuf("line")
account = IMAP {{ server = "{host}", port = {port}, username = "{user}", password = "{password}" }}
while true do
  account.INBOX:enter_idle()
  local unseen = account.INBOX:is_unseen()
  for _, message in ipairs(unseen) do
    local mailbox, uid = table.unpack(message)
    print("unseen " .. mailbox[uid]:fetch_field("Subject"))
  end
  unseen:mark_seen()
end
"""


def drive(stage):
    """Two messages, one after the other: the second is told in a later turn of its loop.

    imapfilter throws away what it reads together with the "+" that answers its IDLE, so a message
    is delivered once it has read that.
    """
    tap = stage.tap()
    config = stage.write("config.lua", CONFIGURATION.format(
        host=tap.host, port=tap.port, user=stage.user, password=stage.password
    ))
    client = stage.spawn(["imapfilter", "-c", config])
    idling = tap.wait_idle()
    tap.wait_read()
    sent = stage.deliver()
    seen = client.wait_for(f"unseen Subject: {stage.subject}")
    tap.wait_idle(idling)
    tap.wait_read()
    stage.deliver(f"{stage.subject}-again")
    client.wait_for(f"unseen Subject: {stage.subject}-again")
    return f"printed the subject after {seen.at - sent:.3f} s"
