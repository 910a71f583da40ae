/* ens_pub HOST PORT REFERENCE TEXT: publishes one event. */
#include "ens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    ensclient_t *client;

    if (argc != 5) {
        fprintf(stderr, "Usage: ens_pub host port event-reference text\n");
        return 5;
    }
    client = ens_open(argv[1], atoi(argv[2]), NULL, NULL);
    if (client == NULL) {
        fprintf(stderr, "ens_pub: no connection to the broker at %s port %s\n", argv[1], argv[2]);
        return 1;
    }
    ens_publish(client, argv[3], strdup(argv[4]), strlen(argv[4]), free);
    ens_close(client);
    return 0;
}
