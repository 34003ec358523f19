/* The limit: starts COMMAND COUNT times, two at once, and does nothing else. Usage: spawn COUNT COMMAND [ARGUMENT...] */
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    int left = atoi(argv[1]), running = 0, status;
    pid_t pid;
    while (left > 0 || running > 0) {
        while (left > 0 && running < 2) {
            if (posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ) != 0)
                return 1;
            left--;
            running++;
        }
        if (wait(&status) < 0 || status != 0)
            return 1;
        running--;
    }
    return 0;
}
