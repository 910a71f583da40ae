/* The dispatcher: the loop whose threads run callbacks. */
#ifndef ENSIGN_PASDISP_H
#define ENSIGN_PASDISP_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pas_dispatcher_struct pas_dispatcher_t;

/* disp must be NULL; dispatchers of an application's own are not supported, and get NULL. Where a
 * dispatcher may be given to other functions, NULL stands for a thread of the connection's own. */
pas_dispatcher_t *pas_dispatcher_new(void *disp);

/* Shuts it down and frees it. Connections that use it get no callbacks any more. */
void pas_dispatcher_delete(pas_dispatcher_t *disp);

/* Runs callbacks until pas_shutdown. Any number of threads may be in here. */
void pas_dispatch(pas_dispatcher_t *disp);

/* Ends all pas_dispatch, now and later; from a callback or from another thread. */
void pas_shutdown(pas_dispatcher_t *disp);

#ifdef __cplusplus
}
#endif
#endif
