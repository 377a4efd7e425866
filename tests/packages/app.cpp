// A program of a user, in C++: a store on disk, iterated in order, and an exception of the program beside it.

#include <kvds.h>

#include <cstdio>
#include <stdexcept>
#include <string>

static void expect(bool condition, const char *what)
{
    if (!condition)
        throw std::runtime_error(std::string(what) + ": " + kvds_last_error());
}

static int append(void *text, const void *key, size_t key_len, const void *, size_t)
{
    static_cast<std::string *>(text)->append(static_cast<const char *>(key), key_len).append(" ");
    return 1;
}

int main(int, char **arguments)
try {
    kvds_distributor *distributor = kvds_distributor_new(arguments[1]);
    kvds_store *store;
    expect(kvds_distributor_get_or_create(distributor, "births", KVDS_DISK, &store) == KVDS_OK, "opening");
    expect(kvds_set(store, "alan", 4, "1912", 4) == KVDS_OK, "writing");
    expect(kvds_set(store, "ada", 3, "1815", 4) == KVDS_OK, "writing");
    std::string keys;
    expect(kvds_iterate(store, "a", 1, append, &keys) == KVDS_OK && keys == "ada alan ", "iterating");
    bool caught = false;
    try {
        expect(kvds_exists(store, "grace", 5) == KVDS_OK, "looking for what is not there");
    } catch (const std::runtime_error &) {
        caught = true;
    }
    expect(caught, "an exception");
    kvds_store_release(store);
    kvds_distributor_release(distributor);
    std::printf("kvds %s works\n", kvds_version());
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
