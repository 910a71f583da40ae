/* renl HOST PORT: publishes over a reliable link, to a subscriber of its own, and waits until that
 * one has worked on each event. */
#include "publisher.h"
#include "subscriber.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static const char *event_ref = "enp://127.0.0.1/renl";
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int steps;

static void done(const char *what, int rc)
{
    if (rc != 0) {
        fprintf(stderr, "renl: %s - status %d\n", what, rc);
        exit(1);
    }
    pthread_mutex_lock(&lock);
    steps++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_event(void *arg, char *event, char *data, int datalen)
{
    (void)arg;
    printf("worked on %s: %.*s\n", event, datalen, data);
}

static void on_subscribed(void *arg, int rc, void *subscription)
{
    (void)arg;
    if (rc == 0 && renl_create_subscriber(subscription, "orders", NULL) == NULL)
        rc = -1;
    done("subscription", rc);
}

static void on_linked(void *arg, int rc, void *renl)
{
    (void)arg;
    (void)renl;
    done("link", rc);
}

int main(int argc, char **argv)
{
    subscriber_t *subscriber;
    publisher_t *publisher;
    unsigned short port;
    int rc;

    if (argc != 3) {
        fprintf(stderr, "Usage: renl host port\n");
        return 5;
    }
    port = (unsigned short)atoi(argv[2]);
    subscriber = subscriber_new_s(NULL, argv[1], port);
    publisher = publisher_new_s(NULL, NULL, argv[1], port);
    if (subscriber == NULL || publisher == NULL) {
        fprintf(stderr, "renl: no connection to the broker\n");
        return 1;
    }
    subscribe_a(subscriber, event_ref, on_event, NULL, on_subscribed, NULL);
    renl_create_publisher(publisher, "orders", NULL, on_linked, NULL);
    pthread_mutex_lock(&lock);
    while (steps < 2)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    rc = publish_s(publisher, event_ref, "first", 5);
    printf("acknowledged - status %d\n", rc);
    publisher_delete(publisher);
    subscriber_delete(subscriber);
    return rc;
}
