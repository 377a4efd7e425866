#include <kvds.h>
#include <stdio.h>

static int print(void *out, const void *key, size_t key_len, const void *value, size_t value_len)
{
    fprintf(out, "%.*s: %.*s\n", (int)key_len, (const char *)key, (int)value_len,
            (const char *)value);
    return 1; /* continue */
}

int main(void)
{
    kvds_distributor *distributor = kvds_distributor_new("data");
    kvds_store *born;

    if (kvds_distributor_get_or_create(distributor, "born", KVDS_DISK, &born) != KVDS_OK ||
        kvds_set(born, "ada", 3, "1815", 4) != KVDS_OK ||
        kvds_set(born, "alan", 4, "1912", 4) != KVDS_OK) {
        fprintf(stderr, "%s\n", kvds_last_error());
        return 1;
    }
    if (kvds_set_nx(born, "ada", 3, "1816", 4) == KVDS_EXISTS)
        puts("ada exists already");
    kvds_iterate(born, "a", 1, print, stdout); /* every key that begins with "a", in order */
    kvds_store_release(born);                  /* the last reference: the store is closed */
    kvds_distributor_release(distributor);
    return 0;
}
