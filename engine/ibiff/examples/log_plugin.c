/* A notification plug-in of one's own: it writes the type and the mailbox of each event to the
 * server's log, behind the text of an option of its own.
 *
 *   cc -shared -fPIC -I../include -o ../lib/log_plugin.so log_plugin.c
 *   configutil -o local.store.notifyplugin -v 'lib/libibiff$$lib/log_plugin$mine'
 *   configutil -o local.store.notifyplugin.mine.prefix -v 'event: '
 */
#include "ensign_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct instance {
    const ensign_host *host;
    char prefix[32];
};

static void on_event(void *context, const ensign_event *event)
{
    const struct instance *instance = context;
    char line[512];

    snprintf(line, sizeof line, "%s%s in %s, %zu parameters", instance->prefix, event->type,
             event->mailbox, event->params_count);
    instance->host->log(instance->host->context, line);
}

static void on_close(void *context)
{
    free(context);
}

int ensign_plugin_init(const ensign_host *host, ensign_plugin *plugin, char *error, size_t size)
{
    struct instance *instance;

    if (host->abi != ENSIGN_PLUGIN_ABI) {
        snprintf(error, size, "the server has ABI %u", (unsigned)host->abi);
        return 1;
    }
    instance = malloc(sizeof *instance);
    if (instance == NULL) {
        snprintf(error, size, "no memory");
        return 1;
    }
    instance->host = host;
    size = host->option(host->context, "prefix", instance->prefix, sizeof instance->prefix);
    if (size == 0 || size > sizeof instance->prefix)
        strcpy(instance->prefix, "event: ");
    plugin->abi = ENSIGN_PLUGIN_ABI;
    plugin->context = instance;
    plugin->event = on_event;
    plugin->close = on_close;
    return 0;
}
