/* The event notification service, in five functions, and two that are not in the original. They may
 * be called from any thread, and from callbacks; callbacks run on a thread of the connection's own,
 * one at a time and in order. */
#ifndef ENSIGN_ENS_H
#define ENSIGN_ENS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ensclient_struct ensclient_t;

#ifndef ENSIGN_SUBSCRIPTION_T
#define ENSIGN_SUBSCRIPTION_T
typedef struct subscription_struct subscription_t;
#endif

/* The connection is lost. Its subscriptions are dead: don't unsubscribe them, close it, and open
 * another one when you like. */
typedef void (*lost_cnx_cb_t)(void *arg);

/* Frees what a program has given away. */
typedef void (*destructor_t)(void *body);

/* An event: its reference, and its payload of body_len bytes (a NUL behind it), or NULL and 0. Both
 * are valid during the call. */
typedef void (*notify_cb_t)(void *rock, char *event, char *body, size_t body_len);

/* Connects to the broker at host and port; a host that begins with / is a Unix socket. NULL if no
 * broker answers, or it doesn't let this host in. One that begins with enps:// is a broker that speaks
 * TLS, whose certificate has to be trusted: by the file of ENS_CA_FILE, or by the system. Without lost_cnx_cb a connection that is lost is
 * made again, with all its subscriptions. */
ensclient_t *ens_open(const char *host, int port, lost_cnx_cb_t lost_cnx_cb, void *lost_cnx_arg);

/* Closes a connection and frees its subscriptions. Unless a callback calls it, none runs any more
 * when it returns. What was published still leaves, within five seconds. */
void ens_close(ensclient_t *client);

/* Publishes an event. The body goes over to the library, which gives it to body_delete (if that
 * isn't NULL) when it needs it no more, which may be before this returns. */
void ens_publish(ensclient_t *client, const char *evt, char *body, size_t bodysz,
                 destructor_t body_delete);

/* Subscribes to an event reference, and returns when the subscription is in force; NULL if the
 * broker refuses it, or evt is no reference. */
subscription_t *ens_subscribe(ensclient_t *client, const char *evt, notify_cb_t cb, void *rock);

/* Ends a subscription and frees it. Unless its own callback calls this, that doesn't run any more
 * when this returns. */
void ens_unsubscribe(ensclient_t *client, subscription_t *subscription);

/* Whose events later subscriptions hear, of a broker that is one of several hosts' (a site): ENS_LOCAL
 * is what was published at this broker alone, ENS_SITE at any of them, and ENS_AS_IS, which it is
 * before, what the broker has by default. A broker of a version that doesn't know this refuses such
 * subscriptions. Publishing is not concerned. 0, or EINVAL. Not in the original. */
#ifndef ENSIGN_SCOPES
#define ENSIGN_SCOPES
enum ens_scope { ENS_AS_IS = 0, ENS_LOCAL = 1, ENS_SITE = 2 };
#endif
int ens_set_scope(ensclient_t *client, int scope);

/* The program was too slow: so many events were not sent to it. */
typedef void (*ens_lagged_cb_t)(void *arg, unsigned long long events);

/* Who is called when events were not sent; NULL is nobody. Not in the original. */
void ens_on_lagged(ensclient_t *client, ens_lagged_cb_t lagged_cb, void *arg);

#ifdef __cplusplus
}
#endif
#endif
