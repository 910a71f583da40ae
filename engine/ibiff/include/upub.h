/* The unreliable publisher: it connects when it first publishes, and never says whether an event
 * has arrived. While no broker can be reached events are lost. Safe to use from any thread. */
#ifndef ENSIGN_UPUB_H
#define ENSIGN_UPUB_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct upub_struct upub_t;

/* A host that begins with / is a Unix socket. gdc and num_workers are not used. */
upub_t *upub_init(void *gdc, const char *host, unsigned short port, int num_workers);

/* Publishes. The payload goes over to the library, which gives it to delete_payload (if that isn't
 * NULL) when it needs it no more, which may be before this returns. */
void upub_publish(upub_t *upub, const char *event_ref, void *payload, unsigned int payload_len,
                  void (*delete_payload)(void *));

/* Ends and frees it. What was published still leaves, within five seconds. */
void upub_shutdown(upub_t *upub);

#ifdef __cplusplus
}
#endif
#endif
