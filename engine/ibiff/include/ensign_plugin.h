/* What a mail server of Ensign and its notification plug-ins say to each other.
 *
 * A plug-in is a shared library with one function, ensign_plugin_init. The server calls it once
 * for each instance in local.store.notifyplugin, and from then on calls `event` for each event, on
 * one thread. All texts are UTF-8 and end in NUL; what a call is given is valid during the call. */
#ifndef ENSIGN_PLUGIN_H
#define ENSIGN_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ENSIGN_PLUGIN_ABI 1

/* What the server offers. It is valid until `close` has returned. */
typedef struct ensign_host {
    uint32_t abi;  /* ENSIGN_PLUGIN_ABI */
    void *context; /* given back in each call */
    /* Writes the value of an option of this instance, such as "enseventkey", and its NUL, if it
     * fits into size bytes; returns the bytes it needs with its NUL, or 0: no such option. Any
     * name will do for an instance that has a name: the administrator sets it as
     * local.store.notifyplugin.INSTANCE.name. */
    size_t (*option)(void *context, const char *name, char *value, size_t size);
    /* Publishes an event to the event notification broker; never waits. NULL in a program that
     * has no broker at hand: libibiff then connects to enshost and ensport by itself. Of a broker
     * that is one of several hosts' (a site) the subscribers of all of them hear it. */
    void (*publish)(void *context, const char *event_ref, const void *payload, size_t size);
    /* Writes a line to the server's log. */
    void (*log)(void *context, const char *text);
} ensign_host;

typedef struct ensign_param {
    const char *name;
    const char *value;
} ensign_param;

typedef struct ensign_event {
    const char *type;    /* NewMsg, UpdateMsg, Copy, ReadMsg, … */
    const char *mailbox; /* user, user/Folder; the user alone is INBOX */
    int32_t inbox;       /* not 0 if it is an INBOX, or no mailbox is concerned */
    const ensign_param *params;
    size_t params_count;
    const void *header; /* of a new message, as far as some plug-in wants it */
    size_t header_size;
    const void *body;
    size_t body_size;
} ensign_event;

typedef struct ensign_plugin {
    uint32_t abi;  /* ENSIGN_PLUGIN_ABI */
    void *context; /* given back in each call */
    void (*event)(void *context, const ensign_event *event);
    void (*close)(void *context);
} ensign_plugin;

/* Fills *plugin and returns 0; or writes why not into error, with a NUL, and returns something
 * else. */
int ensign_plugin_init(const ensign_host *host, ensign_plugin *plugin, char *error, size_t size);

#ifdef __cplusplus
}
#endif
#endif
