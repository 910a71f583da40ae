# Deutsch

# Befehle
completed = { $command } ausgeführt
expected-at = erwartet in Spalte { $column }: { $what }
expected = erwartet: { $what }
too-long = Der Befehl ist länger als { $bytes } Bytes
log-in-first = Melden Sie sich zuerst an
select-first = Wählen Sie zuerst ein Postfach
not-for-selected = Dieser Befehl gilt keinem gewählten Postfach
qresync-first = Erst ENABLE QRESYNC, dann sein Gebrauch
vanished-first = Erst ENABLE QRESYNC, dann VANISHED
uid-required = Nach ENABLE UIDONLY gelten keine Nachrichtennummern
no-more-numbers = Nachrichtennummern werden nicht mehr mitgeteilt
too-many-messages = Das betrifft mehr Nachrichten, als ein Befehl bearbeiten darf
only-the-last = Nur die letzten der Nachrichten wurden betrachtet
beyond-the-last = Eine Nachrichtennummer liegt jenseits der letzten Nachricht
idle-not-offered = IDLE wird nicht angeboten
starttls-not-offered = STARTTLS wird auf dieser Verbindung nicht angeboten
begin-tls = Beginnen Sie jetzt mit TLS
nothing-after-starttls = Auf STARTTLS darf bis zum Beginn von TLS nichts folgen
compress-not-offered = COMPRESS wird nicht angeboten
only-deflate = Nur DEFLATE wird angeboten
deflate-active-already = DEFLATE ist bereits aktiv, durch COMPRESS
no-memory-for-compression = Dafür ist jetzt kein Speicher da, machen Sie ohne weiter
deflate-active = DEFLATE aktiv
literal-unasked = Ein Literal von mehr als 4096 Bytes muss auf die Aufforderung warten
no-charset = Dieser Zeichensatz wird nicht angeboten
eight-bit-header = Ein Nachrichtenkopf mit Zeichen jenseits von ASCII verlangt ENABLE UTF8=ACCEPT
no-language = Keine dieser Sprachen ist hier bekannt

# Anmeldung
logged-in = Angemeldet
already-logged-in = Bereits angemeldet
logging-out = Abmeldung
cancelled = Abgebrochen
response-too-long = Die Antwort ist zu lang
needs-tls = Passwörter werden nur über TLS oder von diesem Rechner angenommen
no-mechanism = Dieses Verfahren wird nicht angeboten
no-binding = Kanalbindung wird nicht angeboten
too-many-failures = Zu viele fehlgeschlagene Anmeldungen
too-many-commands = Zu viele Befehle vor der Anmeldung
no-web-server = Dies ist IMAP und kein Webserver
authentication-failed = Anmeldung fehlgeschlagen
no-scope = dem Token fehlt eine nötige Berechtigung
too-many-logins = zu viele Anmeldungen warten, versuchen Sie es später wieder

# Die Sitzung
autologout = Abgemeldet, da zu lange nichts kam
still-here = Noch da
at-work = Noch bei der Arbeit
messages-done = { $done } von { $all } Nachrichten sind erledigt
shutting-down = Der Server wird beendet, bitte verbinden Sie sich neu
kicked = Der Verwalter hat Ihre Sitzung beendet
revoked = Ihr Passwort wurde geändert oder Ihr Konto entfernt, umbenannt oder gesperrt; melden Sie sich neu an
no-memory = Der Server hat keinen Speicher für das, was Sie schickten, versuchen Sie es später wieder
too-busy = der Server ist zu beschäftigt, versuchen Sie es wieder
too-many-requests = zu viele Anfragen warten, versuchen Sie es wieder
large-operation = ein großes COPY oder RENAME ist im Gange, versuchen Sie es wieder
large-operations = zu viele große Vorgänge sind im Gange, versuchen Sie es wieder
stopping = der Server wird angehalten
not-available = die Nachrichtenablage ist nicht verfügbar: { $why }
see-the-log = siehe das Protokoll des Servers
server-mistake = der Server hat einen Fehler gemacht, der in seinem Protokoll steht
wrong-answer = Die Nachrichtenablage gab eine andere Antwort
disk-full = die Platte ist voll

# Das gewählte Postfach
flags-kept = Markierungen, die bleiben
first-unseen = Erste ungelesene Nachricht
uids-valid = UIDs sind gültig
next-uid = Nächste UID
identifier = Kennung
highest = Höchste
highest-where = Wo es nicht lesbar ist
hear-later = Nachrichten sind verschwunden, von denen Sie später hören
closed-before = Das zuvor gewählte Postfach ist geschlossen
mailbox-deleted = Das gewählte Postfach wurde gelöscht
may-not-read = Sie dürfen das gewählte Postfach nicht mehr lesen
mailbox-unreadable = Das Postfach ist nicht lesbar: { $why }
opened-read-only = Das Postfach ist nur zum Lesen geöffnet
too-long-ago = seit der letzten Auskunft ist zu viel Zeit vergangen, wählen Sie es neu
flags-untold = Markierungen wurden geändert, können aber nicht gemeldet werden, bitte verbinden Sie sich neu

# Nachrichten
some-gone = Einige Nachrichten sind verschwunden
some-changed = Einige wurden von anderen geändert
replaced = Der Ersatz ist da
moved = Verschoben
none-match = Keine passenden Nachrichten
no-message = keine solche Nachricht
too-large = die Nachricht ist größer als { $bytes } Bytes
append-too-large = Eine Nachricht darf { $bytes } Bytes haben
append-given-up = APPEND wird aufgegeben, da die letzte Nachricht leer ist
ready-for-message = Bereit für die Nachricht
ready-for-literal = Bereit für das Literal
url-too-long = Ein URL darf { $bytes } Bytes haben
urls-bring-too-much = URLs dürfen je Befehl { $bytes } Bytes bringen
url-needs = dem URL fehlt: { $what }
url-none-selected = es ist kein Postfach ausgewählt
url-validity = das Postfach hat eine andere UIDVALIDITY
url-no-part = die Nachricht hat keinen solchen Teil
url-unreadable = die Nachricht kann nicht gelesen werden
url-mechanisms = Wie URLs unterschrieben werden
url-no-mechanism = URLs werden mit INTERNAL unterschrieben und mit nichts anderem
esearch-many = Ein Befehl darf { $count } Postfächer durchsuchen
esearch-save = SAVE gilt nur für das ausgewählte Postfach allein
esearch-update = Das ausgewählte Postfach wird nicht durchsucht
idling = warte
unreadable =
    { $count ->
        [1] 1 Nachricht ist nicht lesbar
       *[more] { $count } Nachrichten sind nicht lesbar
    }
unsearchable =
    { $count ->
        [1] 1 Nachricht ist nicht durchsuchbar
       *[more] { $count } Nachrichten sind nicht durchsuchbar
    }
unknown-encoding = Einige Teile sind in einer unbekannten Kodierung
not-saved = Das Ergebnis hat mehr Teile, als gemerkt werden können
keywords-full = das Postfach hat so viele Schlüsselwörter, wie es haben darf
target-keywords-full = das Ziel hat so viele Schlüsselwörter, wie es haben darf
no-uids-left = das Postfach hat keine UIDs mehr
over-quota = Kontingent überschritten

# Postfächer
no-mailbox = kein solches Postfach
exists = ein Postfach dieses Namens gibt es schon
no-right = Sie haben kein Recht dazu
no-right-to-that = Sie haben kein Recht dazu
names-full = Sie haben so viele Postfächer und Abonnements, wie Sie haben dürfen
name-empty = der Name eines Postfachs kann nicht leer sein
name-too-long = der Name des Postfachs ist länger als 1024 Bytes
level-empty = eine Ebene im Namen des Postfachs ist leer
too-deep = Postfächer können nicht tiefer als 32 Ebenen liegen
name-characters = der Name eines Postfachs kann keine Steuerzeichen, % oder * enthalten
name-composed = der Name eines Postfachs steht in der Normalform C
inbox-stays = INBOX kann nicht gelöscht werden
others-inbox-stays = die INBOX eines anderen kann nicht umbenannt werden
has-inferiors = unter dem Namen liegen andere; löschen Sie diese zuerst
below-itself = ein Postfach kann nicht unter sich selbst verschoben werden
inferior-too-long = der Name eines Postfachs darunter würde zu lang
above-others = unter diesem Namen liegen die Postfächer anderer
one-special-use = Ein Postfach hat höchstens einen besonderen Zweck
other-users = Andere Benutzer
shared-folders = Gemeinsame Ordner

# Rechte, Kontingente, Metadaten
no-such-user = es gibt niemanden dieses Namens
not-to-anyone = allen können hier keine Rechte gegeben werden
acl-full = die Zugriffsliste hat so viele Einträge, wie sie haben darf
no-quota-root = keine solche Kontingentwurzel
quota-by-admins = nur Verwalter dürfen Kontingente setzen
shared-by-admins = nur Verwalter dürfen setzen, was alle teilen
value-too-large = ein Wert darf { $bytes } Bytes haben
metadata-full = Sie haben so viele Metadaten, wie Sie haben dürfen
entry-name = ein Eintrag hat einen Namen unter /private oder /shared
admin-entry = /shared/admin ist, was die Konfiguration sagt
