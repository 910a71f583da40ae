/* all HOST PORT: uses every function of the C API, and says where something is wrong. When it
 * prints "stop" it waits until the broker is gone, and ends. */
#include "ens.h"
#include "publisher.h"
#include "subscriber.h"
#include "upub.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static const char *host;
static unsigned short port;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* What callbacks have seen. */
struct seen {
    int events;
    int calls;
    int rc;
    void *data;
    int freed;
    char last[64];
};

static void wait_for(int *count, int least)
{
    pthread_mutex_lock(&lock);
    while (*count < least)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void on_done(void *arg, int rc, void *data)
{
    struct seen *seen = arg;

    pthread_mutex_lock(&lock);
    seen->calls++;
    seen->rc = rc;
    seen->data = data;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_event(void *arg, char *event, char *data, int datalen)
{
    struct seen *seen = arg;

    CHECK(strncmp(event, "enp://t/", 8) == 0);
    CHECK((data == NULL) == (datalen == 0));
    pthread_mutex_lock(&lock);
    seen->events++;
    snprintf(seen->last, sizeof seen->last, "%.*s", datalen, data == NULL ? "" : data);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* Works on everything but "bad". */
static int on_event_with_result(void *arg, char *event, char *data, int datalen)
{
    on_event(arg, event, data, datalen);
    return datalen == 3 && memcmp(data, "bad", 3) == 0;
}

static void on_body(void *arg, char *event, char *body, size_t size)
{
    on_event(arg, event, body, (int)size);
}

static void count_free(void *body)
{
    struct seen *seen;

    memcpy(&seen, body, sizeof seen);
    seen->freed++;
    free(body);
}

/* A body that says whom to tell that it is freed. */
static char *body_of(struct seen *seen)
{
    char *body = malloc(sizeof seen);

    memcpy(body, &seen, sizeof seen);
    return body;
}

static void the_five_functions(void)
{
    struct seen seen = {0}, other = {0};
    ensclient_t *client = ens_open(host, port, NULL, NULL);
    subscription_t *subscription, *second;
    int i;

    CHECK(client != NULL);
    CHECK(ens_open(host, 1, NULL, NULL) == NULL);
    CHECK(ens_open(NULL, port, NULL, NULL) == NULL);
    CHECK(ens_open(host, 70000, NULL, NULL) == NULL);
    CHECK(ens_subscribe(client, "no reference", on_body, &seen) == NULL);
    subscription = ens_subscribe(client, "enp://t/five", on_body, &seen);
    second = ens_subscribe(client, "enp://t/five?n=1", on_body, &other);
    CHECK(subscription != NULL && second != NULL);
    for (i = 0; i < 100; i++)
        ens_publish(client, "enp://t/five", body_of(&seen), sizeof(void *), count_free);
    wait_for(&seen.events, 100);
    CHECK(seen.freed == 100);
    ens_publish(client, "enp://t/five?n=1", NULL, 0, NULL);
    wait_for(&other.events, 1);
    wait_for(&seen.events, 101);
    ens_unsubscribe(client, subscription);
    ens_publish(client, "enp://t/five?n=1", strdup("text"), 4, free);
    wait_for(&other.events, 2);
    CHECK(strcmp(other.last, "text") == 0);
    CHECK(seen.events == 101);
    ens_close(client);
    ens_close(NULL);
}

/* A broker that is alone is a site of its own: subscriptions of any scope hear the same. */
static void scopes(void)
{
    struct seen seen = {0}, subscribed = {0};
    ensclient_t *client = ens_open(host, port, NULL, NULL);
    subscriber_t *subscriber = subscriber_new_s(NULL, host, port);

    CHECK(ens_set_scope(NULL, ENS_LOCAL) == EINVAL);
    CHECK(ens_set_scope(client, 3) == EINVAL && ens_set_scope(client, -1) == EINVAL);
    CHECK(ens_set_scope(client, ENS_LOCAL) == 0);
    CHECK(ens_subscribe(client, "enp://t/scopes", on_body, &seen) != NULL);
    CHECK(ens_set_scope(client, ENS_SITE) == 0);
    CHECK(ens_subscribe(client, "enp://t/scopes", on_body, &seen) != NULL);
    CHECK(ens_set_scope(client, ENS_AS_IS) == 0);
    CHECK(ens_subscribe(client, "enp://t/scopes", on_body, &seen) != NULL);
    CHECK(subscriber_set_scope(NULL, ENS_SITE) == EINVAL);
    CHECK(subscriber_set_scope(subscriber, 258) == EINVAL);
    CHECK(subscriber_set_scope(subscriber, ENS_LOCAL) == 0);
    subscribe_a(subscriber, "enp://t/scopes", on_event, &seen, on_done, &subscribed);
    wait_for(&subscribed.calls, 1);
    CHECK(subscribed.rc == 0);
    ens_publish(client, "enp://t/scopes", NULL, 0, NULL);
    wait_for(&seen.events, 4);
    subscriber_delete(subscriber);
    ens_close(client);
}

static void *dispatch(void *dispatcher)
{
    pas_dispatch(dispatcher);
    return NULL;
}

static void the_older_functions(void)
{
    struct seen opened = {0}, subscribed = {0}, seen = {0}, published = {0}, gone = {0};
    pas_dispatcher_t *dispatcher = pas_dispatcher_new(NULL);
    subscriber_t *subscriber, *again;
    publisher_t *publisher;
    pthread_t threads[2];
    int i, not_null;

    CHECK(pas_dispatcher_new(&not_null) == NULL);
    for (i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, dispatch, dispatcher) == 0);
    subscriber_new_a(dispatcher, NULL, host, 1, on_done, &opened);
    wait_for(&opened.calls, 1);
    CHECK(opened.rc == ECONNREFUSED && opened.data == NULL);
    subscriber_new_a(dispatcher, NULL, host, port, on_done, &opened);
    wait_for(&opened.calls, 2);
    CHECK(opened.rc == 0);
    subscriber = opened.data;
    subscriber_keepalive(subscriber, 10);
    subscribe_a(subscriber, "no reference", on_event, &seen, on_done, &subscribed);
    wait_for(&subscribed.calls, 1);
    CHECK(subscribed.rc == EINVAL && subscribed.data == NULL);
    subscribe_a(subscriber, "enp://t/older", on_event, &seen, on_done, &subscribed);
    wait_for(&subscribed.calls, 2);
    CHECK(subscribed.rc == 0 && subscribed.data != NULL);

    publisher_new_a(dispatcher, NULL, host, port, on_done, &opened);
    wait_for(&opened.calls, 3);
    publisher = opened.data;
    publish_a(publisher, "enp://t/older", "one", 3, on_done, NULL, &published, 0);
    wait_for(&published.calls, 1);
    CHECK(published.rc == 0);
    wait_for(&seen.events, 1);
    CHECK(strcmp(seen.last, "one") == 0);
    publish_a(publisher, "no reference", "one", 3, on_done, NULL, &published, 0);
    wait_for(&published.calls, 2);
    CHECK(published.rc == EINVAL);
    for (i = 0; i < 10000; i++)
        publish_a(publisher, "enp://t/older", NULL, 0, NULL, NULL, NULL, 0);
    wait_for(&seen.events, 10001);

    again = publisher_get_subscriber(publisher);
    publisher_delete(publisher);
    publisher = subscriber_get_publisher(again);
    subscriber_delete(again);
    CHECK(publish_s(publisher, "enp://t/older", "two", 3) == 0);
    wait_for(&seen.events, 10002);
    unsubscribe_a(subscriber, subscribed.data, on_done, &gone);
    wait_for(&gone.calls, 1);
    CHECK(publish_s(publisher, "enp://t/older", "three", 5) == 0);
    CHECK(seen.events == 10002);
    publisher_delete(publisher);
    subscriber_delete(subscriber);
    pas_shutdown(dispatcher);
    for (i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    pas_dispatcher_delete(dispatcher);
}

static void links(void)
{
    struct seen seen = {0}, subscribed = {0}, linked = {0}, acknowledged = {0};
    subscriber_t *subscriber = subscriber_new_s(NULL, host, port);
    publisher_t *publisher = publisher_new_s(NULL, NULL, host, port);
    renl_t *renl;

    CHECK(subscriber != NULL && publisher != NULL);
    CHECK(publisher_new_s(NULL, NULL, host, 1) == NULL);
    subscribe_a(subscriber, "enp://t/links", on_event_with_result, &seen, on_done, &subscribed);
    wait_for(&subscribed.calls, 1);
    renl_create_publisher(publisher, "", NULL, on_done, &linked);
    wait_for(&linked.calls, 1);
    CHECK(linked.rc == EINVAL && linked.data == NULL);
    renl_create_publisher(publisher, "a", "whoever", on_done, &linked);
    wait_for(&linked.calls, 2);
    CHECK(linked.rc == 0 && linked.data != NULL);
    /* Nobody has agreed yet. */
    publish_a(publisher, "enp://t/links", "x", 1, NULL, on_done, &acknowledged, 50);
    wait_for(&acknowledged.calls, 1);
    CHECK(acknowledged.rc == ETIMEDOUT);
    renl = renl_create_subscriber(subscribed.data, "a", "whoever");
    CHECK(renl != NULL);
    publish_a(publisher, "enp://t/links", "x", 1, NULL, on_done, &acknowledged, 0);
    wait_for(&acknowledged.calls, 2);
    CHECK(acknowledged.rc == 0);
    CHECK(publish_s(publisher, "enp://t/links", "x", 1) == 0);
    publish_a(publisher, "enp://t/links", "bad", 3, NULL, on_done, &acknowledged, 50);
    wait_for(&acknowledged.calls, 3);
    CHECK(acknowledged.rc == ETIMEDOUT);
    renl_cancel_subscriber(renl);
    publish_a(publisher, "enp://t/links", "x", 1, NULL, on_done, &acknowledged, 50);
    wait_for(&acknowledged.calls, 4);
    CHECK(acknowledged.rc == ETIMEDOUT);
    renl_cancel_publisher(linked.data);
    CHECK(publish_s(publisher, "enp://t/links", "x", 1) == 0);
    wait_for(&seen.events, 6);
    publisher_delete(publisher);
    subscriber_delete(subscriber);
}

static void without_an_answer(void)
{
    struct seen seen = {0};
    ensclient_t *client = ens_open(host, port, NULL, NULL);
    upub_t *upub = upub_init(NULL, host, port, 1), *nowhere = upub_init(NULL, host, 1, 1);
    int i;

    CHECK(ens_subscribe(client, "enp://t/upub", on_body, &seen) != NULL);
    for (i = 0; i < 1000; i++)
        upub_publish(upub, "enp://t/upub", body_of(&seen), sizeof(void *), count_free);
    upub_publish(nowhere, "enp://t/upub", body_of(&seen), sizeof(void *), count_free);
    upub_shutdown(upub);
    upub_shutdown(nowhere);
    wait_for(&seen.events, 1000);
    CHECK(seen.freed == 1001);
    ens_close(client);
}

/* Callbacks that end their own connection, and publish and wait. */
static publisher_t *own;

static void publish_inside(void *arg, char *event, char *data, int datalen)
{
    if (datalen == 1) {
        CHECK(publish_s(own, "enp://t/inside", "yes", 3) == 0);
    } else {
        subscriber_t *subscriber = publisher_get_subscriber(own);
        subscriber_delete(subscriber);
        publisher_delete(own);
    }
    on_event(arg, event, data, datalen);
}

static void inside_callbacks(void)
{
    struct seen seen = {0}, subscribed = {0};
    subscriber_t *subscriber = subscriber_new_s(NULL, host, port);

    own = subscriber_get_publisher(subscriber);
    subscribe_a(subscriber, "enp://t/inside", publish_inside, &seen, on_done, &subscribed);
    wait_for(&subscribed.calls, 1);
    subscriber_delete(subscriber);
    CHECK(publish_s(own, "enp://t/inside", "1", 1) == 0);
    wait_for(&seen.events, 2);
}

static void on_lost(void *arg)
{
    on_done(arg, 0, NULL);
}

static void a_lost_connection(void)
{
    struct seen lost = {0};
    ensclient_t *client = ens_open(host, port, on_lost, &lost);
    publisher_t *publisher = publisher_new_s(NULL, NULL, host, port);
    int rc;

    printf("stop\n");
    fflush(stdout);
    wait_for(&lost.calls, 1);
    ens_publish(client, "enp://t/lost", strdup("x"), 1, free);
    ens_close(client);
    do {
        rc = publish_s(publisher, "enp://t/lost", "x", 1);
    } while (rc == 0);
    CHECK(rc == ECONNRESET);
    publisher_delete(publisher);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    host = argv[1];
    port = (unsigned short)atoi(argv[2]);
    the_five_functions();
    scopes();
    the_older_functions();
    links();
    without_an_answer();
    inside_callbacks();
    a_lost_connection();
    printf("all is well\n");
    return 0;
}
