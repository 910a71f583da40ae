/* Subscribing to events. See enc.h for statuses, threads and lost connections. */
#ifndef ENSIGN_SUBSCRIBER_H
#define ENSIGN_SUBSCRIBER_H

#include "enc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* rc: a status. data: what was made (a subscriber_t or a subscription_t), or NULL. */
typedef void (*subscriber_cb_t)(void *arg, int rc, void *data);

/* An event: its reference, and its payload of datalen bytes (a NUL behind it), or NULL and 0. Both
 * are valid during the call. A handler may return an int instead of nothing: with anything but 0
 * the event is not acknowledged over a link. */
typedef void (*subscriber_notify_cb_t)(void *arg, char *event, char *data, int datalen);
typedef int (*subscriber_notify_with_result_cb_t)(void *arg, char *event, char *data, int datalen);

/* Connects to the broker at host and port, and calls back with the subscriber. A host that begins
 * with / is a Unix socket. worker is not used. */
void subscriber_new_a(pas_dispatcher_t *disp, void *worker, const char *host, unsigned short port,
                      subscriber_cb_t cbdone, void *cbarg);

/* The same at once; NULL if it can't be done. */
subscriber_t *subscriber_new_s(pas_dispatcher_t *disp, const char *host, unsigned short port);

/* Subscribes to an event reference; cbdone gets the subscription. */
void subscribe_a(subscriber_t *subscriber, const char *event_ref, subscriber_notify_cb_t notify_cb,
                 void *notify_arg, subscriber_cb_t cbdone, void *cbarg);
void subscribe_with_result_a(subscriber_t *subscriber, const char *event_ref,
                             subscriber_notify_with_result_cb_t notify_cb, void *notify_arg,
                             subscriber_cb_t cbdone, void *cbarg);

#ifndef __cplusplus
/* subscribe_a takes handlers of either kind. */
#define subscribe_a(subscriber, event_ref, notify_cb, notify_arg, cbdone, cbarg)                   \
    _Generic((notify_cb),                                                                          \
        subscriber_notify_with_result_cb_t: subscribe_with_result_a,                               \
        default: subscribe_a)(subscriber, event_ref, notify_cb, notify_arg, cbdone, cbarg)
#endif

/* Ends a subscription and frees it; cbdone is called when no more events come. */
void unsubscribe_a(subscriber_t *subscriber, subscription_t *subscription, subscriber_cb_t cbdone,
                   void *cbarg);

/* Ends it with all its subscriptions and their links; no callback begins any more. */
void subscriber_delete(subscriber_t *subscriber);

/* The same connection as a publisher, to be deleted as well. */
struct enc_struct *subscriber_get_publisher(subscriber_t *subscriber);

/* Sends a sign of life to the broker each time so many milliseconds have passed. */
void subscriber_keepalive(subscriber_t *subscriber, unsigned long milliseconds);

/* Whose events later subscriptions hear, of a broker that is one of several hosts' (a site): ENS_LOCAL
 * is what was published at this broker alone, ENS_SITE at any of them, and ENS_AS_IS, which it is
 * before, what the broker has by default. A broker of a version that doesn't know this refuses such
 * subscriptions. Publishing is not concerned. 0, or EINVAL. Not in the original. */
#ifndef ENSIGN_SCOPES
#define ENSIGN_SCOPES
enum ens_scope { ENS_AS_IS = 0, ENS_LOCAL = 1, ENS_SITE = 2 };
#endif
int subscriber_set_scope(subscriber_t *subscriber, int scope);

/* The program was too slow: so many events were not sent to it. */
typedef void (*subscriber_lagged_cb_t)(void *arg, unsigned long long events);

/* Who is called when events were not sent; NULL is nobody. Not in the original. */
void subscriber_on_lagged(subscriber_t *subscriber, subscriber_lagged_cb_t lagged_cb, void *arg);

/* From now on events that come over a link named renl_id are acknowledged when the handler has
 * returned. This service knows no identities: publisher is not used. NULL if it can't be done. */
renl_t *renl_create_subscriber(subscription_t *subscription, const char *renl_id,
                               const char *publisher);

/* Ends and frees a link; the subscription stays. */
void renl_cancel_subscriber(renl_t *renl);

#ifdef __cplusplus
}
#endif
#endif
