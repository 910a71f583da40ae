/* Publishing events. See enc.h for statuses, threads and lost connections. What is published at a
 * broker that is one of several hosts' (a site) is heard by the subscribers of all of them. */
#ifndef ENSIGN_PUBLISHER_H
#define ENSIGN_PUBLISHER_H

#include "enc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* rc: a status. data: what was made (a publisher_t or a renl_t), or NULL. */
typedef void (*publisher_cb_t)(void *arg, int rc, void *data);

/* Connects to the broker at host and port, and calls back with the publisher. A host that begins
 * with / is a Unix socket. worker is not used. */
void publisher_new_a(pas_dispatcher_t *disp, void *worker, const char *host, unsigned short port,
                     publisher_cb_t cbdone, void *cbarg);

/* The same at once; NULL if it can't be done. */
publisher_t *publisher_new_s(pas_dispatcher_t *disp, void *worker, const char *host,
                             unsigned short port);

/* Publishes. cbdone hears whether the broker took it. end2end_ack hears, if the publisher has
 * links, that a subscriber has worked on it, or after timeout milliseconds (0: never) that none
 * has. Both may be NULL; the data is copied. */
void publish_a(publisher_t *publisher, const char *event_ref, const char *data,
               unsigned int datalen, publisher_cb_t cbdone, publisher_cb_t end2end_ack,
               void *cbarg, unsigned long timeout);

/* Publishes and waits until the broker has it; if the publisher has links, until a subscriber has
 * worked on it, which may be never: publish_a has a limit of time. Returns a status. */
int publish_s(publisher_t *publisher, const char *event_ref, const char *data,
              unsigned int datalen);

/* Ends it; no callback begins any more, and its links are freed. What was published still leaves,
 * within five seconds. */
void publisher_delete(publisher_t *publisher);

/* The same connection as a subscriber, to be deleted as well. */
struct enc_struct *publisher_get_subscriber(publisher_t *publisher);

/* From now on events of this publisher are to be acknowledged over a link named renl_id. This
 * service knows no identities: subscriber is not used. cbdone gets the link. */
void renl_create_publisher(publisher_t *publisher, const char *renl_id, const char *subscriber,
                           publisher_cb_t cbdone, void *cbarg);

/* Ends and frees a link; publishing goes on. */
void renl_cancel_publisher(renl_t *renl);

#ifdef __cplusplus
}
#endif
#endif
