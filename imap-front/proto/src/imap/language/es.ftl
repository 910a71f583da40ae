# Español

# Comandos
completed = { $command } completado
expected-at = se esperaba en la columna { $column }: { $what }
expected = se esperaba: { $what }
too-long = El comando tiene más de { $bytes } bytes
log-in-first = Inicie sesión primero
select-first = Seleccione primero un buzón
not-for-selected = Ese comando no es para un buzón seleccionado
qresync-first = ENABLE QRESYNC va antes de su uso
vanished-first = ENABLE QRESYNC va antes de VANISHED
uid-required = Los números de mensaje no sirven tras ENABLE UIDONLY
no-more-numbers = Los números de mensaje ya no se indican
too-many-messages = Eso abarca más mensajes de los que admite un comando
only-the-last = Solo se han considerado los últimos mensajes
beyond-the-last = un número de mensaje está más allá del último mensaje
idle-not-offered = No se ofrece IDLE
starttls-not-offered = No se ofrece STARTTLS en esta conexión
begin-tls = Comience ahora la negociación TLS
nothing-after-starttls = Nada puede seguir a STARTTLS antes de la negociación
compress-not-offered = No se ofrece COMPRESS
only-deflate = Solo se ofrece DEFLATE
deflate-active-already = DEFLATE ya está activo, por COMPRESS
no-memory-for-compression = Ahora no hay memoria para eso, siga sin ello
deflate-active = DEFLATE activo
literal-unasked = Un literal de más de 4096 bytes tiene que esperar la invitación a continuar
no-charset = No se ofrece ese juego de caracteres
eight-bit-header = Una cabecera con caracteres que no son ASCII requiere ENABLE UTF8=ACCEPT
no-language = Aquí no se conoce ninguno de estos idiomas

# Inicio de sesión
logged-in = Sesión iniciada
already-logged-in = La sesión ya está iniciada
logging-out = Cierre de sesión
cancelled = Cancelado
response-too-long = La respuesta es demasiado larga
needs-tls = Las contraseñas solo se aceptan por TLS o desde este equipo
no-mechanism = No se ofrece ese mecanismo
no-binding = No se ofrece el enlace al canal
too-many-failures = Demasiados inicios de sesión fallidos
too-many-commands = Demasiados comandos antes de iniciar sesión
no-web-server = Esto es IMAP y no un servidor web
authentication-failed = la autenticación ha fallado
no-scope = al token le falta un permiso necesario
too-many-logins = hay demasiados inicios de sesión en espera, inténtelo más tarde

# La sesión
autologout = Sesión cerrada por inactividad demasiado larga
still-here = Sigo aquí
at-work = Sigue en curso
messages-done = { $done } de { $all } mensajes están hechos
shutting-down = El servidor se está apagando, vuelva a conectarse
kicked = El administrador ha terminado su sesión
revoked = Su contraseña cambió o su cuenta fue eliminada, renombrada o bloqueada; inicie sesión de nuevo
no-memory = El servidor no tiene memoria para lo que envió, inténtelo más tarde
too-busy = el servidor está demasiado ocupado para responder, inténtelo de nuevo
too-many-requests = hay demasiadas peticiones en espera, inténtelo de nuevo
large-operation = hay un COPY o RENAME grande en curso, inténtelo de nuevo
large-operations = hay demasiadas operaciones grandes en curso, inténtelo de nuevo
stopping = el servidor se está deteniendo
not-available = el almacén de mensajes no está disponible: { $why }
see-the-log = vea el registro del servidor
server-mistake = el servidor cometió un error, que consta en su registro
wrong-answer = El almacén de mensajes dio otra respuesta
disk-full = el disco está lleno

# El buzón seleccionado
flags-kept = Marcas que se conservan
first-unseen = Primer mensaje no leído
uids-valid = Los UID son válidos
next-uid = Próximo UID
identifier = Identificador
highest = El más alto
highest-where = Donde no se puede leer
hear-later = Han desaparecido mensajes de los que sabrá más tarde
closed-before = El buzón seleccionado antes está cerrado
mailbox-deleted = El buzón seleccionado fue eliminado
may-not-read = Ya no puede leer el buzón seleccionado
mailbox-unreadable = No se puede leer el buzón: { $why }
opened-read-only = El buzón está abierto solo para lectura
too-long-ago = ha pasado demasiado tiempo desde las últimas noticias, selecciónelo de nuevo
flags-untold = Cambiaron marcas que no se pueden comunicar, vuelva a conectarse

# Mensajes
some-gone = Algunos mensajes han desaparecido
some-changed = Otros cambiaron algunos
replaced = El reemplazo está ahí
moved = Movido
none-match = No hay mensajes que coincidan
no-message = no existe ese mensaje
too-large = el mensaje tiene más de { $bytes } bytes
append-too-large = Un mensaje puede tener { $bytes } bytes
append-given-up = Se abandona APPEND porque su último mensaje está vacío
ready-for-message = Listo para el mensaje
ready-for-literal = Listo para el literal
url-too-long = Un URL puede tener { $bytes } bytes
urls-bring-too-much = Los URL de una orden pueden aportar { $bytes } bytes
url-needs = al URL le falta: { $what }
url-none-selected = no hay ningún buzón seleccionado
url-validity = el buzón tiene otra UIDVALIDITY
url-no-part = el mensaje no tiene esa parte
url-unreadable = no se puede leer el mensaje
url-mechanisms = Cómo se firman los URL
url-no-mechanism = Los URL se firman con INTERNAL y nada más
esearch-many = Una orden puede buscar en { $count } buzones
esearch-save = SAVE es solo para el buzón seleccionado
esearch-update = El buzón seleccionado no se busca
idling = en espera
unreadable =
    { $count ->
        [1] No se puede leer 1 mensaje
       *[more] No se pueden leer { $count } mensajes
    }
unsearchable =
    { $count ->
        [1] No se puede buscar en 1 mensaje
       *[more] No se puede buscar en { $count } mensajes
    }
unknown-encoding = Algunas partes tienen una codificación desconocida
not-saved = El resultado tiene más partes de las que se pueden guardar
keywords-full = el buzón tiene tantas palabras clave como puede tener
target-keywords-full = el destino tiene tantas palabras clave como puede tener
no-uids-left = al buzón no le quedan UID
over-quota = cuota superada

# Buzones
no-mailbox = no existe ese buzón
exists = ya existe un buzón con ese nombre
no-right = No tiene derecho a hacer eso
no-right-to-that = no tiene derecho a hacer eso
names-full = tiene tantos buzones y suscripciones como puede tener
name-empty = el nombre de un buzón no puede estar vacío
name-too-long = el nombre del buzón tiene más de 1024 bytes
level-empty = un nivel del nombre del buzón está vacío
too-deep = los buzones no pueden tener más de 32 niveles
name-characters = el nombre de un buzón no puede tener caracteres de control, % ni *
name-composed = el nombre de un buzón está en la forma de normalización C
inbox-stays = INBOX no se puede eliminar
others-inbox-stays = el INBOX de otro no se puede renombrar
has-inferiors = el nombre tiene nombres inferiores; elimínelos primero
below-itself = un buzón no se puede mover debajo de sí mismo
inferior-too-long = el nombre de un buzón inferior sería demasiado largo
above-others = los buzones de otros usuarios están debajo de ese nombre
one-special-use = Un buzón tiene como mucho un uso especial
other-users = Otros usuarios
shared-folders = Carpetas compartidas

# Derechos, cuotas, metadatos
no-such-user = no hay ningún usuario con ese nombre
not-to-anyone = aquí no se pueden dar derechos a todos
acl-full = la lista de control de acceso tiene tantas entradas como puede tener
no-quota-root = no existe esa raíz de cuota
quota-by-admins = solo los administradores pueden fijar una cuota
shared-by-admins = solo los administradores pueden fijar lo que todos comparten
value-too-large = un valor puede tener { $bytes } bytes
metadata-full = tiene tantos metadatos como puede tener
entry-name = una entrada tiene un nombre debajo de /private o /shared
admin-entry = /shared/admin es lo que dice la configuración
