/* lagged PORT: prints how many events were not sent to it, as each of two interfaces says it. */
#include "ens.h"
#include "subscriber.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int heard;

static void on_lagged(void *arg, unsigned long long events)
{
    pthread_mutex_lock(&lock);
    printf("%s %llu\n", (const char *)arg, events);
    fflush(stdout);
    heard++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv)
{
    unsigned short port = argc == 2 ? (unsigned short)atoi(argv[1]) : 0;
    ensclient_t *client = ens_open("127.0.0.1", port, NULL, NULL);
    subscriber_t *subscriber = subscriber_new_s(NULL, "127.0.0.1", port);

    if (client == NULL || subscriber == NULL)
        return 1;
    ens_on_lagged(client, on_lagged, "ens.h");
    subscriber_on_lagged(subscriber, on_lagged, "subscriber.h");
    subscriber_keepalive(subscriber, 10);
    ens_publish(client, "enp://t/go", NULL, 0, NULL);
    pthread_mutex_lock(&lock);
    while (heard < 2)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    subscriber_delete(subscriber);
    ens_close(client);
    return 0;
}
