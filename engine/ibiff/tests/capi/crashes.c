/* A plug-in that crashes when it is told of a new message, and of nothing else. */
#include "ensign_plugin.h"

#include <stdlib.h>
#include <string.h>

static void on_event(void *context, const ensign_event *event)
{
    (void)context;
    if (strcmp(event->type, "NewMsg") == 0)
        abort();
}

int ensign_plugin_init(const ensign_host *host, ensign_plugin *plugin, char *error, size_t size)
{
    (void)error;
    (void)size;
    plugin->abi = host->abi;
    plugin->context = NULL;
    plugin->event = on_event;
    plugin->close = NULL;
    return 0;
}
