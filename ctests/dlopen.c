/*
 * Loads the library at run time, unloads it and loads it again. This program is not linked with it,
 * so it cannot use check.h.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvds.h"

#ifdef KVDS_TEST_NO_DISK
#define BACKEND KVDS_MEMORY
#else
#define BACKEND KVDS_DISK
#endif

#define must(condition) ((condition) ? (void)0 : give_up(__LINE__, #condition))

_Noreturn static void give_up(int line, const char *what)
{
    const char *why = dlerror();
    fprintf(stderr, "%s:%d: not so: %s\n%s\n", __FILE__, line, what, why ? why : "");
    abort();
}

/* The functions that this program calls, with their types from the header. */
/* clang-format off */
#define FUNCTIONS(X) \
    X(kvds_last_error) \
    X(kvds_distributor_new) X(kvds_distributor_release) X(kvds_distributor_get_or_create) \
    X(kvds_distributor_destroy_store) X(kvds_store_release) X(kvds_set) X(kvds_get) \
    X(kvds_value_release)
/* clang-format on */

#define POINTER(name) __typeof__(name) *name;
#define FIND(name) find(loaded.handle, #name, &loaded.name);

struct library {
    void *handle;
    FUNCTIONS(POINTER)
};

/* ISO C has no conversion from object to function pointers; POSIX allows copying the bytes. */
static void find(void *handle, const char *name, void *function)
{
    void *symbol = dlsym(handle, name);
    must(symbol != NULL);
    memcpy(function, &symbol, sizeof symbol);
}

static struct library load(const char *path)
{
    struct library loaded = { .handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) };
    must(loaded.handle != NULL);
    FUNCTIONS(FIND)
    return loaded;
}

static bool is_loaded(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (handle)
        dlclose(handle);
    return handle != NULL;
}

static void use(const struct library *kvds, const char *base)
{
    kvds_store *store;
    kvds_value value;
    kvds_distributor *distributor = kvds->kvds_distributor_new(base);
    must(distributor != NULL);
    must(kvds->kvds_distributor_get_or_create(distributor, "dlopen", BACKEND, &store) == KVDS_OK);
    must(kvds->kvds_set(store, "key", 3, "value", 5) == KVDS_OK);
    must(kvds->kvds_get(store, "key", 3, &value) == KVDS_OK);
    must(value.len == 5 && memcmp(value.data, "value", 5) == 0);
    kvds->kvds_value_release(&value);
    must(kvds->kvds_set(store, NULL, 1, NULL, 0) == KVDS_INVALID_ARGUMENT);
    must(strstr(kvds->kvds_last_error(), "kvds_set") != NULL);
    must(kvds->kvds_store_release(store) == 0);
    if (BACKEND == KVDS_DISK)
        must(kvds->kvds_distributor_destroy_store(distributor, "dlopen") == KVDS_OK);
    must(kvds->kvds_distributor_release(distributor) == 0);
}

/* This thread ends after dlclose(), and then frees the library's thread-local memory. */
struct guest {
    struct library library;
    const char *base;
    pthread_barrier_t used, closed;
};

static void *use_and_stay(void *argument)
{
    struct guest *guest = argument;
    use(&guest->library, guest->base);
    pthread_barrier_wait(&guest->used);
    pthread_barrier_wait(&guest->closed);
    return NULL;
}

/* Copies a file. */
static void copy(const char *from, const char *to)
{
    char buffer[1 << 16];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    must(in && out);
    for (size_t len; (len = fread(buffer, 1, sizeof buffer, in)) > 0;)
        must(fwrite(buffer, 1, len, out) == len);
    must(fclose(in) == 0 && fclose(out) == 0);
}

/*
 * Two plugins of one program may each load a copy of the library. POSIX locks do not hold within a
 * process, so both copies once opened the same store.
 */
static void two_copies_share_no_store(const char *path, const char *base)
{
    char other[4200];
    snprintf(other, sizeof other, "%s/copy.so", base);
    copy(path, other);
    const struct library copies[] = { load(path), load(other) };
    must(copies[0].kvds_set != copies[1].kvds_set);
    for (int first = 0; first < 2; first++) {
        const struct library *one = &copies[first], *two = &copies[1 - first];
        kvds_distributor *owner = one->kvds_distributor_new(base),
                         *guest = two->kvds_distributor_new(base);
        kvds_store *store, *none;
        must(one->kvds_distributor_get_or_create(owner, "shared", KVDS_DISK, &store) == KVDS_OK);
        must(two->kvds_distributor_get_or_create(guest, "shared", KVDS_DISK, &none) == KVDS_LOCKED);
        must(strstr(two->kvds_last_error(), "copy of the library") != NULL);
        must(two->kvds_distributor_destroy_store(guest, "shared") == KVDS_LOCKED);
        must(one->kvds_set(store, "key", 3, "value", 5) == KVDS_OK);
        must(one->kvds_store_release(store) == 0);
        must(two->kvds_distributor_destroy_store(guest, "shared") == KVDS_OK);
        must(one->kvds_distributor_release(owner) == 0 &&
             two->kvds_distributor_release(guest) == 0);
    }
    must(remove(other) == 0);
}

int main(void)
{
    const char *path = getenv("KVDS_TEST_LIBRARY"), *parent = getenv("TMPDIR");
    char base[4096];
    must(path != NULL);
    snprintf(base, sizeof base, "%s/kvds-XXXXXX", parent && *parent ? parent : "/tmp");
    must(mkdtemp(base) != NULL);
    must(!is_loaded(path));

    for (int times = 0; times < 3; times++) {
        struct guest guest = { .library = load(path), .base = base };
        pthread_t thread;
        must(pthread_barrier_init(&guest.used, NULL, 2) == 0 &&
             pthread_barrier_init(&guest.closed, NULL, 2) == 0);
        must(pthread_create(&thread, NULL, use_and_stay, &guest) == 0);
        pthread_barrier_wait(&guest.used);
        use(&guest.library, base);
        must(dlclose(guest.library.handle) == 0);
        pthread_barrier_wait(&guest.closed);
        must(pthread_join(thread, NULL) == 0);
        must(is_loaded(path));
    }
    if (BACKEND == KVDS_DISK)
        two_copies_share_no_store(path, base);
    must(remove(base) == 0);
    return 0;
}
