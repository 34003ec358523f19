/* A step of the fault campaigns: quick, exact, and it writes what happened into a ledger outside the project.

   step [-i INPUT]… [-t MILLISECONDS] [-f N] [-b] [-p] OUTPUT…
   Each output holds the version that the inputs tell. -f: the first N attempts fail. -b: leaves a daemon behind.
   An output that is a folder gets three files. An input that is not whole, or of another version than the first, ends it
   with 3; a second copy of the same step at the same time ends it with 4. -p: it has the one slot of a pool, so another
   step with -p at the same time ends it with 6. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINES 64
static char label[256];
static long version = -1;

static const char *variable(const char *name) {
    const char *found = getenv(name);
    return found && *found ? found : "-";
}

static void tell(const char *what) {
    char line[1024];
    int fd = open(variable("LEDGER"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int n = snprintf(line, sizeof line, "%s %s %s %s %ld\n", what, label, variable("MLORCH_RUN_ID"), variable("MLORCH_ATTEMPT"), version);
    if (fd < 0 || write(fd, line, n) != n) _exit(9);
    close(fd);
}

static void rest(long ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&time, &time) && errno == EINTR) {}
}

static void whole(const char *path) {
    char first[64], last[64], text[128];
    FILE *file = fopen(path, "r");
    long found = -1;
    int lines = 0;
    last[0] = 0;
    if (file) {
        if (fgets(first, sizeof first, file)) found = atol(first);
        while (fgets(text, sizeof text, file)) lines++, strncpy(last, text, sizeof last - 1);
        fclose(file);
    }
    char expected[64];
    snprintf(expected, sizeof expected, "end %ld\n", found);
    if (found < 0 || lines != LINES + 1 || strcmp(last, expected) || (version >= 0 && version != found)) {
        tell("bad");
        exit(3);
    }
    version = found;
}

static void produce(const char *path, const char *name, long ms) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    char text[128];
    if (fd < 0) {
        perror(path);
        exit(5);
    }
    int n = snprintf(text, sizeof text, "%ld\n", version);
    for (int i = 0; i <= LINES + 1; i++) {
        if (write(fd, text, n) != n) {
            perror(path);
            exit(5);
        }
        if (i % (LINES / 4) == 1) rest(ms / 4);
        n = i < LINES ? snprintf(text, sizeof text, "%s line %d of version %ld\n", name, i, version) : snprintf(text, sizeof text, "end %ld\n", version);
    }
    close(fd);
}

int main(int count, char **words) {
    long ms = 0, failing = 0;
    int letter, daemon_too = 0;
    char running[4096];
    snprintf(label, sizeof label, "%s/%s/%s", variable("MLORCH_PIPELINE"), variable("MLORCH_PARTITION"), variable("MLORCH_STEP"));
    snprintf(running, sizeof running, "%s.", variable("LEDGER"));
    char *end = running + strlen(running);
    strncat(running, label, sizeof running - strlen(running) - 1);
    for (; *end; end++) if (*end == '/') *end = '_';
    int guard = open(running, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (flock(guard, LOCK_EX | LOCK_NB)) {
        tell("double");
        return 4;
    }
    tell("start");
    int slot = -1;
    while ((letter = getopt(count, words, "i:t:f:bp")) > 0) {
        if (letter == 'i') whole(optarg);
        if (letter == 't') ms = atol(optarg);
        if (letter == 'f') failing = atol(optarg);
        if (letter == 'b') daemon_too = 1;
        if (letter == 'p') {
            snprintf(running, sizeof running, "%s.slot", variable("LEDGER"));
            slot = open(running, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
            if (flock(slot, LOCK_EX | LOCK_NB)) {
                tell("crowd");
                return 6;
            }
        }
    }
    if (daemon_too && !fork()) {
        setsid();
        close(guard);
        if (slot >= 0) close(slot);
        rest(60000);
        _exit(0);
    }
    if (atol(variable("MLORCH_ATTEMPT")) <= failing) {
        rest(ms);
        tell("fail");
        return 1;
    }
    for (int i = optind; i < count; i++) {
        struct stat status;
        const char *name = strrchr(words[i], '/') ? strrchr(words[i], '/') + 1 : words[i];
        size_t length = strlen(words[i]);
        if (words[i][length - 1] == '/' || (!stat(words[i], &status) && S_ISDIR(status.st_mode))) {
            mkdir(words[i], 0755);
            for (int part = 0; part < 3; part++) {
                char path[4200], short_name[32];
                snprintf(short_name, sizeof short_name, "part%d", part);
                snprintf(path, sizeof path, "%s/%s", words[i], short_name);
                produce(path, short_name, ms / 3);
            }
        } else {
            produce(words[i], name, ms);
        }
    }
    const char *values = getenv("MLORCH_VALUES");
    if (values && getenv("WRITE_VALUES")) {
        FILE *file = fopen(values, "a");
        if (!file || fprintf(file, "version=%ld\n", version) < 0 || fclose(file)) return 5;
    }
    tell("end");
    return 0;
}
