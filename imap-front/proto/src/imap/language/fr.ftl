# Français

# Commandes
completed = { $command } terminé
expected-at = attendu à la colonne { $column } : { $what }
expected = attendu : { $what }
too-long = La commande dépasse { $bytes } octets
log-in-first = Connectez-vous d'abord
select-first = Sélectionnez d'abord une boîte aux lettres
not-for-selected = Cette commande ne concerne pas une boîte sélectionnée
qresync-first = ENABLE QRESYNC doit précéder son emploi
vanished-first = ENABLE QRESYNC doit précéder VANISHED
uid-required = Les numéros de message ne servent plus après ENABLE UIDONLY
no-more-numbers = Les numéros de message ne sont plus indiqués
too-many-messages = Cela concerne plus de messages qu'une commande ne peut en traiter
only-the-last = Seuls les derniers messages ont été traités
beyond-the-last = un numéro de message dépasse le dernier message
idle-not-offered = IDLE n'est pas proposé
starttls-not-offered = STARTTLS n'est pas proposé sur cette connexion
begin-tls = Commencez maintenant la négociation TLS
nothing-after-starttls = Rien ne doit suivre STARTTLS avant la négociation
compress-not-offered = COMPRESS n'est pas proposé
only-deflate = Seul DEFLATE est proposé
deflate-active-already = DEFLATE est déjà actif, par COMPRESS
no-memory-for-compression = Il n'y a pas de mémoire pour cela maintenant, continuez sans
deflate-active = DEFLATE actif
literal-unasked = Un littéral de plus de 4096 octets doit attendre l'invite à continuer
no-charset = Ce jeu de caractères n'est pas proposé
eight-bit-header = Un en-tête avec des caractères non ASCII demande ENABLE UTF8=ACCEPT
no-language = Aucune de ces langues n'est connue ici

# Connexion
logged-in = Connecté
already-logged-in = Déjà connecté
logging-out = Déconnexion
cancelled = Annulé
response-too-long = La réponse est trop longue
needs-tls = Les mots de passe ne sont acceptés que par TLS ou depuis cette machine
no-mechanism = Ce mécanisme n'est pas proposé
no-binding = La liaison au canal n'est pas proposée
too-many-failures = Trop d'échecs de connexion
too-many-commands = Trop de commandes avant la connexion
no-web-server = Ceci est IMAP et non un serveur web
authentication-failed = échec de l'authentification
no-scope = il manque au jeton une autorisation nécessaire
too-many-logins = trop de connexions sont en attente, réessayez plus tard

# La session
autologout = Déconnexion automatique après une trop longue inactivité
still-here = Toujours là
at-work = Travail en cours
messages-done = { $done } messages sur { $all } sont traités
shutting-down = Le serveur s'arrête, veuillez vous reconnecter
kicked = L'administrateur a mis fin à votre session
revoked = Votre mot de passe a été changé, ou votre compte supprimé, renommé ou verrouillé ; reconnectez-vous
no-memory = Le serveur n'a pas assez de mémoire pour votre envoi, réessayez plus tard
too-busy = le serveur est trop occupé pour répondre, réessayez
too-many-requests = trop de requêtes sont en attente, réessayez
large-operation = une grande opération COPY ou RENAME est en cours, réessayez
large-operations = trop de grandes opérations sont en cours, réessayez
stopping = le serveur est en cours d'arrêt
not-available = le dépôt des messages n'est pas disponible : { $why }
see-the-log = voir le journal du serveur
server-mistake = le serveur a commis une erreur, notée dans son journal
wrong-answer = Le dépôt des messages a donné une autre réponse
disk-full = le disque est plein

# La boîte sélectionnée
flags-kept = Marques conservées
first-unseen = Premier message non lu
uids-valid = Les UID sont valides
next-uid = Prochain UID
identifier = Identifiant
highest = Le plus élevé
highest-where = Là où la lecture est impossible
hear-later = Des messages ont disparu, vous en serez informé plus tard
closed-before = La boîte sélectionnée auparavant est fermée
mailbox-deleted = La boîte sélectionnée a été supprimée
may-not-read = Vous ne pouvez plus lire la boîte sélectionnée
mailbox-unreadable = La boîte ne peut pas être lue : { $why }
opened-read-only = La boîte est ouverte en lecture seule
too-long-ago = trop de temps a passé depuis les dernières nouvelles, sélectionnez-la à nouveau
flags-untold = Des marques ont changé sans pouvoir être annoncées, veuillez vous reconnecter

# Messages
some-gone = Certains messages ont disparu
some-changed = Certains ont été modifiés par d'autres
replaced = Le remplacement est là
moved = Déplacé
none-match = Aucun message correspondant
no-message = message inexistant
too-large = le message dépasse { $bytes } octets
append-too-large = Un message peut avoir { $bytes } octets
append-given-up = APPEND est abandonné, car son dernier message est vide
ready-for-message = Prêt pour le message
ready-for-literal = Prêt pour le littéral
url-too-long = Un URL peut avoir { $bytes } octets
urls-bring-too-much = Les URL d'une commande peuvent apporter { $bytes } octets
url-needs = il manque à l'URL : { $what }
url-none-selected = aucune boîte n'est sélectionnée
url-validity = la boîte a une autre UIDVALIDITY
url-no-part = le message n'a pas cette partie
url-unreadable = le message ne peut pas être lu
url-mechanisms = Comment les URL sont signés
url-no-mechanism = Les URL sont signés par INTERNAL et rien d'autre
esearch-many = Une commande peut chercher dans { $count } boîtes
esearch-save = SAVE ne vaut que pour la boîte sélectionnée seule
esearch-update = La boîte sélectionnée n'est pas parcourue
idling = en attente
unreadable =
    { $count ->
        [1] 1 message ne peut pas être lu
       *[more] { $count } messages ne peuvent pas être lus
    }
unsearchable =
    { $count ->
        [1] 1 message ne peut pas être parcouru
       *[more] { $count } messages ne peuvent pas être parcourus
    }
unknown-encoding = Certaines parties ont un codage inconnu
not-saved = Le résultat a trop de parties pour être gardé
keywords-full = la boîte a autant de mots-clés qu'elle peut en avoir
target-keywords-full = la destination a autant de mots-clés qu'elle peut en avoir
no-uids-left = la boîte n'a plus d'UID
over-quota = quota dépassé

# Boîtes aux lettres
no-mailbox = boîte inexistante
exists = une boîte de ce nom existe
no-right = Vous n'avez pas le droit de faire cela
no-right-to-that = vous n'avez pas le droit de faire cela
names-full = vous avez autant de boîtes et d'abonnements que permis
name-empty = le nom d'une boîte ne peut pas être vide
name-too-long = le nom de la boîte dépasse 1024 octets
level-empty = un niveau du nom de la boîte est vide
too-deep = les boîtes ne peuvent pas dépasser 32 niveaux
name-characters = le nom d'une boîte ne peut contenir ni caractères de contrôle, ni % ni *
name-composed = le nom d'une boîte est en forme de normalisation C
inbox-stays = INBOX ne peut pas être supprimée
others-inbox-stays = l'INBOX d'autrui ne peut pas être renommée
has-inferiors = ce nom a des noms inférieurs ; supprimez-les d'abord
below-itself = une boîte ne peut pas être déplacée sous elle-même
inferior-too-long = le nom d'une boîte inférieure serait trop long
above-others = les boîtes d'autres utilisateurs se trouvent sous ce nom
one-special-use = Une boîte a au plus un usage particulier
other-users = Autres utilisateurs
shared-folders = Dossiers partagés

# Droits, quotas, métadonnées
no-such-user = aucun utilisateur ne porte ce nom
not-to-anyone = aucun droit ne peut être donné à tous ici
acl-full = la liste de contrôle d'accès a autant d'entrées qu'elle peut en avoir
no-quota-root = racine de quota inexistante
quota-by-admins = seuls les administrateurs peuvent fixer un quota
shared-by-admins = seuls les administrateurs peuvent fixer ce que tous partagent
value-too-large = une valeur peut avoir { $bytes } octets
metadata-full = vous avez autant de métadonnées que permis
entry-name = une entrée a un nom sous /private ou /shared
admin-entry = /shared/admin est ce que dit la configuration
