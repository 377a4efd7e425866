// A program with the static library and with a RocksDB of its own, of another version: each uses
// its own code and its own state, in the same directory, at the same time, on success and on
// failure.

#include <kvds.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/version.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#define EXPECT(condition) \
    do { \
        if (!(condition)) { \
            std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, \
                         kvds_last_error()); \
            std::exit(1); \
        } \
    } while (0)

namespace {

constexpr int pairs = 20000;

std::string key(int number) { return "key" + std::to_string(1000000 + number); }
std::string value(int number) { return std::string(200, 'a') + std::to_string(number); }

int count(void *counter, const void *found, size_t len, const void *text, size_t text_len)
{
    int &number = *static_cast<int *>(counter);
    EXPECT(std::string(static_cast<const char *>(found), len) == key(number));
    EXPECT(std::string(static_cast<const char *>(text), text_len) == value(number));
    number++;
    return 1;
}

void use_ours(const std::string &base, kvds_compression compression)
{
    kvds_options *options = kvds_options_new();
    EXPECT(kvds_options_set_compression(options, compression) == KVDS_OK);
    kvds_distributor *distributor;
    EXPECT(kvds_distributor_open(base.c_str(), options, &distributor) == KVDS_OK);
    kvds_options_free(options);
    const std::string name = "ours" + std::to_string(compression);
    for (bool again : { false, true }) {
        kvds_store *store;
        EXPECT(kvds_distributor_get_or_create(distributor, name.c_str(), KVDS_DISK, &store) ==
               KVDS_OK);
        if (!again) {
            for (int i = 0; i < pairs; i++)
                EXPECT(kvds_set(store, key(i).data(), key(i).size(), value(i).data(),
                                value(i).size()) == KVDS_OK);
            EXPECT(kvds_compact(store) == KVDS_OK);
        }
        int counter = 0;
        EXPECT(kvds_iterate(store, nullptr, 0, count, &counter) == KVDS_OK && counter == pairs);
        EXPECT(kvds_store_release(store) == 0);
    }
    // A failure that comes from deep inside: the file that names the manifest is damaged.
    std::ofstream(base + "/" + name + "/CURRENT") << "nonsense";
    kvds_store *store;
    EXPECT(kvds_distributor_get_or_create(distributor, name.c_str(), KVDS_DISK, &store) < 0 &&
           store == nullptr);
    EXPECT(kvds_last_error()[0] != '\0');
    kvds_distributor_release(distributor);
}

void use_theirs(const std::string &base, rocksdb::CompressionType compression)
{
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = compression;
    const std::string path = base + "/theirs" + std::to_string(compression);
    for (bool again : { false, true }) {
        rocksdb::DB *opened;
        EXPECT(rocksdb::DB::Open(options, path, &opened).ok());
        const std::unique_ptr<rocksdb::DB> db(opened);
        if (!again) {
            for (int i = 0; i < pairs; i++)
                EXPECT(db->Put({}, key(i), value(i)).ok());
            EXPECT(db->CompactRange({}, nullptr, nullptr).ok());
        }
        int counter = 0;
        const std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator({}));
        for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next())
            count(&counter, iterator->key().data(), iterator->key().size(),
                  iterator->value().data(), iterator->value().size());
        EXPECT(iterator->status().ok() && counter == pairs);
    }
    // Theirs throws and catches inside for this.
    rocksdb::Options parsed;
    EXPECT(
        rocksdb::GetOptionsFromString(options, "max_open_files=many", &parsed).IsInvalidArgument());
    std::ofstream(path + "/CURRENT") << "nonsense";
    rocksdb::DB *opened;
    EXPECT(!rocksdb::DB::Open(options, path, &opened).ok());
}

} // namespace

int main(int arguments, char **argument)
{
    EXPECT(arguments == 2);
    const std::string base = argument[1];
    std::thread threads[] = {
        std::thread([&] { use_ours(base, KVDS_COMPRESSION_LZ4); }),
        std::thread([&] { use_ours(base, KVDS_COMPRESSION_ZSTD); }),
        std::thread([&] { use_theirs(base, rocksdb::kLZ4Compression); }),
        std::thread([&] { use_theirs(base, rocksdb::kZSTD); }),
    };
    for (auto &thread : threads)
        thread.join();
    std::printf("kvds %s works beside RocksDB %s\n", kvds_version(),
                rocksdb::GetRocksVersionAsString().c_str());
    return 0;
}
