/* What publisher.h and subscriber.h have in common.
 *
 * A status (`rc`) is 0, or one of these numbers of errno.h:
 *   EINVAL        an argument, an event reference or a payload is not as it must be
 *   ECONNREFUSED  no broker answers, or it doesn't let this host in (ENS_ACCESS)
 *   ECONNRESET    the connection was lost before the broker answered
 *   EACCES        the broker refused it
 *   EAGAIN        too much waits to be sent
 *   ETIMEDOUT     nobody answered in time
 *
 * A connection that is lost is made again, with all its subscriptions; what was published meanwhile
 * fails with ECONNRESET. All functions may be called from any thread, and from callbacks. Callbacks
 * of one connection run one at a time and in order. */
#ifndef ENSIGN_ENC_H
#define ENSIGN_ENC_H

#include "pasdisp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A connection; it may be publisher and subscriber at once. */
typedef struct enc_struct publisher_t;
typedef struct enc_struct subscriber_t;

/* A reliable event notification link: publisher and subscriber agree on its name, and then the
 * subscriber's library acknowledges each event that its handler has worked on. A name is a text
 * without line breaks, of at most 255 bytes with the names of the publisher's other links. */
typedef struct renl_struct renl_t;

#ifndef ENSIGN_SUBSCRIPTION_T
#define ENSIGN_SUBSCRIPTION_T
typedef struct subscription_struct subscription_t;
#endif

#ifdef __cplusplus
}
#endif
#endif
