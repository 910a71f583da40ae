# What the code says to people, with names. The texts stand here as they do in the code.

# Commands
completed = { $command } completed
expected-at = expected { $what } at column { $column }
expected = expected { $what }
too-long = The command is longer than { $bytes } bytes
log-in-first = Log in first
select-first = Select a mailbox first
not-for-selected = That command is not for a selected mailbox
qresync-first = ENABLE QRESYNC comes before its use
vanished-first = ENABLE QRESYNC comes before VANISHED
uid-required = Message numbers are of no use once UIDONLY is enabled
no-more-numbers = Message numbers are told no more
too-many-messages = That is for more messages than a command may work on
only-the-last = Only the last of the messages were looked at
beyond-the-last = a message number is beyond the last message
idle-not-offered = IDLE is not offered
starttls-not-offered = STARTTLS is not offered on this connection
begin-tls = Begin the TLS handshake now
nothing-after-starttls = Nothing may follow STARTTLS before the handshake
compress-not-offered = COMPRESS is not offered
only-deflate = Only DEFLATE is offered
deflate-active-already = DEFLATE is active already, by COMPRESS
no-memory-for-compression = There is no memory for that now, go on without it
deflate-active = DEFLATE active
literal-unasked = A literal of more than 4096 bytes has to wait for its continuation request
no-charset = That charset is not offered
eight-bit-header = A header with eight-bit characters needs ENABLE UTF8=ACCEPT
no-language = None of these languages is known here

# Login
logged-in = Logged in
already-logged-in = Already logged in
logging-out = Logging out
cancelled = Cancelled
response-too-long = The response is too long
needs-tls = Passwords are only taken over TLS or from this host
no-mechanism = That mechanism is not offered
no-binding = Channel binding is not offered
too-many-failures = Too many failed logins
too-many-commands = Too many commands before login
no-web-server = This is IMAP, and no web server
authentication-failed = authentication failed
no-scope = the token lacks a scope that is needed
too-many-logins = too many logins are waiting, try again later

# The session
autologout = Autologout; idle for too long
still-here = Still here
at-work = Still at work
messages-done = { $done } of { $all } messages are done
shutting-down = Server is shutting down, please reconnect
kicked = The administrator has ended your session
revoked = Your password was changed or your account removed, renamed or locked; log in again
no-memory = The server has no memory for what you sent, try again later
too-busy = the server is too busy to answer, try again
too-many-requests = too many requests are waiting, try again
large-operation = a large COPY or RENAME is under way, try again
large-operations = too many large operations are under way, try again
stopping = the server is being stopped
not-available = the store is not available: { $why }
see-the-log = see the server's log
server-mistake = the server made a mistake, which is in its log
wrong-answer = The store gave another answer
disk-full = the disk is full

# The selected mailbox
flags-kept = Flags that are kept
first-unseen = First unseen message
uids-valid = UIDs are valid
next-uid = Next UID
identifier = Identifier
highest = Highest
highest-where = Where it can't be read
hear-later = Messages are gone of which you hear later
closed-before = The mailbox selected before is closed
mailbox-deleted = The selected mailbox was deleted
may-not-read = You may not read the selected mailbox any more
mailbox-unreadable = The mailbox can't be read: { $why }
opened-read-only = The mailbox is opened read-only
too-long-ago = too much time has passed since the client heard of it, select it again
flags-untold = Flags were changed but can't be told, please reconnect

# Messages
some-gone = Some messages are gone
some-changed = Some were changed by others
replaced = The replacement is there
moved = Moved
none-match = No matching messages
no-message = no such message
too-large = the message is larger than { $bytes } bytes
append-too-large = A message may have { $bytes } bytes
append-given-up = APPEND is given up, as its last message is empty
ready-for-message = Ready for the message
ready-for-literal = Ready for the literal
url-too-long = A URL may have { $bytes } bytes
urls-bring-too-much = URLs may bring { $bytes } bytes by a command
url-needs = the URL needs { $what }
url-none-selected = no mailbox is selected
url-validity = the mailbox has another UIDVALIDITY
url-no-part = the message has no such part
url-unreadable = the message can't be read
url-mechanisms = How URLs are signed
url-no-mechanism = URLs are signed by INTERNAL and nothing else
esearch-many = A command may search { $count } mailboxes
esearch-save = SAVE is for the selected mailbox alone
esearch-update = The selected mailbox is not searched
idling = idling
unreadable = { $count } messages can't be read
unsearchable = { $count } messages can't be searched
unknown-encoding = Some parts are in an encoding that is not known
not-saved = The result has more parts than can be saved
keywords-full = the mailbox has as many keywords as it may have
target-keywords-full = the target has as many keywords as it may have
no-uids-left = the mailbox has no UIDs left
over-quota = quota exceeded

# Mailboxes
no-mailbox = no such mailbox
exists = a mailbox of that name exists
no-right = You have no right to do that
no-right-to-that = you have no right to do that
names-full = you have as many mailboxes and subscriptions as you may
name-empty = a mailbox name can't be empty
name-too-long = the mailbox name is longer than 1024 bytes
level-empty = a level of the mailbox name is empty
too-deep = mailboxes can't be nested deeper than 32 levels
name-characters = a mailbox name can't contain control characters, % or *
name-composed = a mailbox name is in normalization form C
inbox-stays = INBOX can't be deleted
others-inbox-stays = another's INBOX can't be renamed
has-inferiors = the name has inferior names; delete these first
below-itself = a mailbox can't be moved below itself
inferior-too-long = an inferior mailbox's name would be too long
above-others = other users' mailboxes lie below that name
one-special-use = A mailbox has one special use at most
other-users = Other Users
shared-folders = Shared Folders

# Rights, quotas, metadata
no-such-user = there is no user of that name
not-to-anyone = rights can't be given to anyone here
acl-full = the access control list has as many entries as it may have
no-quota-root = no such quota root
quota-by-admins = only administrators may set a quota
shared-by-admins = only administrators may set what all share
value-too-large = a value may have { $bytes } bytes
metadata-full = you have as much metadata as you may
entry-name = an entry has a name below /private or /shared
admin-entry = /shared/admin is what the configuration says
