/*
 * A program of a user, in C: a store in memory, a store on disk that is there again after closing,
 * and an error.
 */

#include <kvds.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, kvds_last_error()); \
            exit(1); \
        } \
    } while (0)

static void write_and_read(kvds_distributor *distributor, kvds_backend backend)
{
    kvds_store *store;
    kvds_value value;
    EXPECT(kvds_distributor_get_or_create(distributor, "births", backend, &store) == KVDS_OK);
    EXPECT(kvds_set(store, "ada", 3, "1815", 4) == KVDS_OK);
    EXPECT(kvds_get(store, "ada", 3, &value) == KVDS_OK);
    EXPECT(value.len == 4 && memcmp(value.data, "1815", 4) == 0);
    kvds_value_release(&value);
    EXPECT(kvds_store_release(store) == 0);
}

int main(int count, char **arguments)
{
    EXPECT(count == 2);
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", KVDS_VERSION_MAJOR, KVDS_VERSION_MINOR,
             KVDS_VERSION_PATCH);
    EXPECT(strcmp(kvds_version(), version) == 0);

    kvds_distributor *distributor = kvds_distributor_new(arguments[1]);
    EXPECT(distributor != NULL);
    write_and_read(distributor, KVDS_MEMORY);
    write_and_read(distributor, KVDS_DISK);

    kvds_store *store;
    EXPECT(kvds_distributor_get(distributor, "births", KVDS_DISK, &store) == KVDS_NOT_FOUND);
    EXPECT(kvds_distributor_get_or_create(distributor, "births", KVDS_DISK, &store) == KVDS_OK);
    EXPECT(kvds_exists(store, "ada", 3) == KVDS_OK);
    EXPECT(kvds_exists(store, "alan", 4) == KVDS_NOT_FOUND);
    EXPECT(kvds_store_release(store) == 0);
    kvds_distributor_release(distributor);
    printf("kvds %s works\n", kvds_version());
    return 0;
}
