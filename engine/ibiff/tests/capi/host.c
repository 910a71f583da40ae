/* host LIBRARY HOST PORT: a program that loads the plug-in and has no broker at hand: the plug-in
 * publishes by itself. */
#include "ensign_plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char **arguments;

static size_t option(void *context, const char *name, char *value, size_t size)
{
    const char *found = NULL;

    (void)context;
    if (strcmp(name, "enshost") == 0)
        found = arguments[2];
    else if (strcmp(name, "ensport") == 0)
        found = arguments[3];
    if (found == NULL)
        return 0;
    if (strlen(found) + 1 <= size)
        strcpy(value, found);
    return strlen(found) + 1;
}

static void to_stderr(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv)
{
    ensign_host host = {.abi = ENSIGN_PLUGIN_ABI, .option = option, .log = to_stderr};
    ensign_param params[] = {{"mailboxName", "jane"}, {"numMsgs", "1"}};
    ensign_event event = {.type = "NewMsg", .mailbox = "jane", .inbox = 1, .params = params,
                          .params_count = 2};
    ensign_plugin plugin;
    char error[256] = "";
    int (*init)(const ensign_host *, ensign_plugin *, char *, size_t);
    void *library;

    arguments = argv;
    if (argc != 4 || (library = dlopen(argv[1], RTLD_NOW)) == NULL)
        return 2;
    *(void **)&init = dlsym(library, "ensign_plugin_init");
    if (init == NULL || init(&host, &plugin, error, sizeof error) != 0) {
        fprintf(stderr, "%s\n", error);
        return 1;
    }
    plugin.event(plugin.context, &event);
    plugin.close(plugin.context);
    return 0;
}
