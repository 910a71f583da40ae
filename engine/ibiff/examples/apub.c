/* apub HOST PORT [REFERENCE]: publishes each line that is typed, until one is a dot. */
#include "pasdisp.h"
#include "publisher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pas_dispatcher_t *dispatcher;
static publisher_t *publisher;
static const char *event_ref = "enp://127.0.0.1/store";

static void publish_next(void);

static void fatal(const char *what, int rc)
{
    fprintf(stderr, "apub: %s - status %d\n", what, rc);
    exit(1);
}

static void on_published(void *arg, int rc, void *data)
{
    (void)arg;
    (void)data;
    if (rc != 0)
        fatal("Publication failed", rc);
    publish_next();
}

static void publish_next(void)
{
    char line[1024];

    printf("apub> ");
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL || strcmp(line, ".\n") == 0) {
        publisher_delete(publisher);
        pas_shutdown(dispatcher);
        return;
    }
    line[strcspn(line, "\n")] = '\0';
    publish_a(publisher, event_ref, line, (unsigned int)strlen(line), on_published, NULL, NULL, 0);
}

static void on_open(void *arg, int rc, void *enc)
{
    (void)arg;
    if (rc != 0)
        fatal("No connection to the broker", rc);
    publisher = enc;
    publish_next();
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "Usage: apub host port [event-reference]\n");
        return 5;
    }
    if (argc == 4)
        event_ref = argv[3];
    dispatcher = pas_dispatcher_new(NULL);
    publisher_new_a(dispatcher, NULL, argv[1], (unsigned short)atoi(argv[2]), on_open, NULL);
    pas_dispatch(dispatcher);
    pas_dispatcher_delete(dispatcher);
    return 0;
}
