#include "tests/control/others.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

bool others_start(struct others *others, const char *script, const char *name)
{
    int in[2], out[2];
    signal(SIGPIPE, SIG_IGN);
    snprintf(others->directory, sizeof others->directory, "/tmp/ringbridge-%s.XXXXXX", name);
    if (!mkdtemp(others->directory) || pipe(in) != 0 || pipe(out) != 0)
        return false;
    others->pid = fork();
    if (others->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        execl(script, script, others->directory, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    others->says = in[1];
    FILE *told = fdopen(out[0], "r");
    int read = fscanf(told, "%d %d %d %d", &others->plain, &others->plain2, &others->tls,
                      &others->strange);
    fclose(told);
    return read == 4;
}

int others_stop(struct others *others)
{
    char command[128];
    close(others->says);
    waitpid(others->pid, NULL, 0);
    snprintf(command, sizeof command, "rm -rf '%s'", others->directory);
    return system(command);
}
