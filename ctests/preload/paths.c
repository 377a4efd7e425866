/*
 * Which files are below the directory. The kernel knows the path of an open file, so dup and rename
 * need no bookkeeping.
 */

#include "inside.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[PATH_MAX];
static _Atomic size_t directory_len;

void paths_begin(void)
{
    const char *below = getenv("KVDS_PRELOAD_BELOW");
    if (below != NULL)
        preload_below(below);
}

void preload_below(const char *path)
{
    directory_len = 0;
    if (realpath(path, directory) == NULL || strcmp(path, directory) != 0)
        give_up("not the plain path of a directory:", path);
    directory_len = strlen(directory);
}

static bool begins_with_directory(const char *path)
{
    return directory_len != 0 && strncmp(path, directory, directory_len) == 0 &&
           (path[directory_len] == '/' || path[directory_len] == '\0');
}

bool is_file_below(int file, struct place *place)
{
    place->path[0] = '\0';
    if (directory_len == 0 || file < 0)
        return false;
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t len = readlink(link, place->path, sizeof place->path - 1);
    if (len < 0)
        return false;
    place->path[len] = '\0';
    return begins_with_directory(place->path);
}

bool is_below(int at, const char *path, struct place *place)
{
    if (directory_len == 0 || path == NULL)
        return false;
    size_t len = 0;
    if (path[0] != '/') {
        if (at != AT_FDCWD)
            is_file_below(at, place);
        else if (getcwd(place->path, sizeof place->path) == NULL)
            return false;
        len = strlen(place->path);
    }
    int wanted =
        snprintf(place->path + len, sizeof place->path - len, "%s%s", len == 0 ? "" : "/", path);
    return wanted >= 0 && (size_t)wanted < sizeof place->path - len &&
           begins_with_directory(place->path);
}
