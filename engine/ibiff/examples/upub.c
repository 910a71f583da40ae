/* upub HOST PORT REFERENCE COUNT: publishes so many events, and doesn't ask what became of them. */
#include "upub.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    upub_t *upub;
    int i;

    if (argc != 5) {
        fprintf(stderr, "Usage: upub host port event-reference count\n");
        return 5;
    }
    upub = upub_init(NULL, argv[1], (unsigned short)atoi(argv[2]), 1);
    for (i = 0; i < atoi(argv[4]); i++) {
        char *payload = malloc(16);
        int length = snprintf(payload, 16, "%d", i);
        upub_publish(upub, argv[3], payload, (unsigned int)length, free);
    }
    upub_shutdown(upub);
    return 0;
}
