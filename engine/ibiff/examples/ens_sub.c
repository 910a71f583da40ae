/* ens_sub HOST PORT REFERENCE: prints each event; when the connection is lost it is made again. */
#include "ens.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int lost;

static void on_lost(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    lost = 1;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_event(void *rock, char *event, char *body, size_t body_len)
{
    (void)rock;
    printf("[%s] %.*s\n", event, (int)body_len, body == NULL ? "" : body);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "Usage: ens_sub host port event-reference\n");
        return 5;
    }
    for (;;) {
        ensclient_t *client = ens_open(argv[1], atoi(argv[2]), on_lost, NULL);
        if (client == NULL || ens_subscribe(client, argv[3], on_event, NULL) == NULL) {
            fprintf(stderr, "ens_sub: no subscription at %s port %s\n", argv[1], argv[2]);
            ens_close(client);
            sleep(1);
            continue;
        }
        printf("subscribed\n");
        fflush(stdout);
        pthread_mutex_lock(&lock);
        while (!lost)
            pthread_cond_wait(&changed, &lock);
        lost = 0;
        pthread_mutex_unlock(&lock);
        ens_close(client);
    }
}
