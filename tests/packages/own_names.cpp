// A program that defines itself what the static library has inside: its definitions are for itself
// alone. The library must neither be linked to them nor hinder them.

#include <kvds.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#define MINE(name) \
    extern "C" int name(void) \
    { \
        std::fputs("the library called the program's " #name "\n", stderr); \
        std::abort(); \
    }

MINE(LZ4_compress_default)
MINE(LZ4_compress_fast_continue)
MINE(LZ4_decompress_safe)
MINE(ZSTD_compressCCtx)
MINE(ZSTD_compress2)
MINE(ZSTD_createCCtx)
MINE(ZSTD_decompress)
MINE(ZSTD_trace_compress_begin)
MINE(rocksdb_open)
MINE(rust_eh_personality)
MINE(rust_begin_unwind)
MINE(RocksDbThreadYieldAndCheckAbort)
MINE(__wrap___cxa_atexit)

namespace rocksdb {

struct Status {
    std::string ToString() const;
};

std::string Status::ToString() const { return "the program's"; }

struct Env {
    static Env *Default() { std::abort(); }
};

// Inline functions and templates are where linkers pick one definition of many.
struct Slice {
    __attribute__((noinline)) std::string ToString(bool = false) const { return "the program's"; }
};

} // namespace rocksdb

int main(int, char **arguments)
{
    if (rocksdb::Status().ToString() != "the program's" ||
        rocksdb::Slice().ToString() != "the program's")
        return 1;
    kvds_options *options = kvds_options_new();
    for (kvds_compression compression : { KVDS_COMPRESSION_LZ4, KVDS_COMPRESSION_ZSTD }) {
        kvds_distributor *distributor;
        kvds_store *store;
        const std::string name = "store" + std::to_string(compression), text(100000, 'a');
        if (kvds_options_set_compression(options, compression) != KVDS_OK ||
            kvds_distributor_open(arguments[1], options, &distributor) != KVDS_OK ||
            kvds_distributor_get_or_create(distributor, name.c_str(), KVDS_DISK, &store) !=
                KVDS_OK ||
            kvds_set(store, "key", 3, text.data(), text.size()) != KVDS_OK ||
            kvds_compact(store) != KVDS_OK) {
            std::fprintf(stderr, "%s\n", kvds_last_error());
            return 1;
        }
        kvds_value value;
        if (kvds_get(store, "key", 3, &value) != KVDS_OK || value.len != text.size() ||
            std::memcmp(value.data, text.data(), text.size()) != 0)
            return 1;
        kvds_value_release(&value);
        kvds_store_release(store);
        kvds_distributor_release(distributor);
    }
    kvds_options_free(options);
    std::puts("kvds works beside names of the program");
    return 0;
}
