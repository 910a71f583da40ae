/* Stands for enpd and imapd: says that it is ready, and waits. Files in its folder, the base
   directory, say what it does otherwise. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *text)
{
	const char *number = getenv("ENSIGN_READY_FD");
	if (number)
		dprintf(atoi(number), "%s\n", text);
}

int main(int argc, char **argv)
{
	int is_broker = strstr(argv[0], "enpd") != NULL;
	if (argc > 1 && !strcmp(argv[1], "--recover"))
		return 0;
	if (is_broker) {
		const char *rules = getenv("ENS_ACCESS");
		FILE *seen = fopen("access", "a");
		fprintf(seen, "%s\n", rules ? rules : "");
		fclose(seen);
	}
	if (is_broker && !access("taken", F_OK)) {
		say("error: port 7997 is taken");
		return 1;
	}
	if (!is_broker && !access("partial", F_OK))
		say("failed: a part did not start");
	say("ready");
	for (;;)
		pause();
}
