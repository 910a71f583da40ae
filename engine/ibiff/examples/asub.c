/* asub HOST PORT [REFERENCE]: prints each event as [reference] payload, until it is stopped. */
#include "pasdisp.h"
#include "subscriber.h"

#include <stdio.h>
#include <stdlib.h>

static pas_dispatcher_t *dispatcher;
static subscriber_t *subscriber;
static const char *event_ref = "enp://127.0.0.1/store";

static void fatal(const char *what, int rc)
{
    fprintf(stderr, "asub: %s - status %d\n", what, rc);
    exit(1);
}

static int on_event(void *arg, char *event, char *data, int datalen)
{
    (void)arg;
    if (data == NULL)
        printf("[%s] (null)\n", event);
    else
        printf("[%s] %.*s\n", event, datalen, data);
    fflush(stdout);
    return 0;
}

static void on_subscribed(void *arg, int rc, void *subscription)
{
    (void)arg;
    (void)subscription;
    if (rc != 0)
        fatal("Subscription failed", rc);
    printf("Subscription successful\n");
    fflush(stdout);
    subscriber_keepalive(subscriber, 30000);
}

static void on_open(void *arg, int rc, void *enc)
{
    (void)arg;
    if (rc != 0)
        fatal("No connection to the broker", rc);
    subscriber = enc;
    subscribe_a(subscriber, event_ref, on_event, NULL, on_subscribed, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "Usage: asub host port [event-reference]\n");
        return 5;
    }
    if (argc == 4)
        event_ref = argv[3];
    dispatcher = pas_dispatcher_new(NULL);
    subscriber_new_a(dispatcher, NULL, argv[1], (unsigned short)atoi(argv[2]), on_open, NULL);
    pas_dispatch(dispatcher);
    pas_dispatcher_delete(dispatcher);
    return 0;
}
