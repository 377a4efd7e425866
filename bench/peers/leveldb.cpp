/* LevelDB with the memory of kvds. */

#include "peer.hpp"

#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>
#include <memory>

namespace {

using leveldb::Slice;
using leveldb::Status;

Slice slice(bytes from) { return Slice(from.data, from.len); }
bytes as_bytes(const Slice &from) { return { from.data(), from.size() }; }

void must(const Status &status)
{
    if (!status.ok())
        fail(status.ToString());
}

class level final : public peer {
public:
    level(const char *path, bool sync)
    {
        leveldb::Options options;
        options.create_if_missing = true;
        options.block_cache = cache.get();
        options.filter_policy = filter.get();
        /* It has two of them while one is written to a table. */
        options.write_buffer_size = write_buffer_bytes / 2;
        leveldb::DB *opened;
        must(leveldb::DB::Open(options, path, &opened));
        db.reset(opened);
        how.sync = sync;
    }

    bool get(bytes key, bytes &value) override
    {
        std::string &text = read_string();
        Status status = db->Get({}, slice(key), &text);
        if (status.IsNotFound())
            return false;
        must(status);
        value = ::as_bytes(text);
        return true;
    }

    bool exists(bytes key) override
    {
        bytes value;
        return get(key, value);
    }

    void set(bytes key, bytes value) override { must(db->Put(how, slice(key), slice(value))); }

    bool del(bytes key) override
    {
        must(db->Delete(how, slice(key)));
        return true;
    }

    void set_batch(const pair *pairs, std::size_t count) override
    {
        leveldb::WriteBatch batch;
        for (std::size_t index = 0; index < count; ++index)
            batch.Put(slice(pairs[index].key), slice(pairs[index].value));
        must(db->Write(how, &batch));
    }

    void iterate(bytes prefix, visit show, void *user_data) override
    {
        std::unique_ptr<leveldb::Iterator> at(db->NewIterator({}));
        for (at->Seek(slice(prefix)); at->Valid() && at->key().starts_with(slice(prefix));
             at->Next())
            if (!show(user_data, as_bytes(at->key()), as_bytes(at->value())))
                break;
        must(at->status());
    }

    void scan(bytes start, std::size_t count, bool backward, visit show, void *user_data) override
    {
        std::unique_ptr<leveldb::Iterator> at(db->NewIterator({}));
        at->Seek(slice(start));
        if (backward && !at->Valid())
            at->SeekToLast();
        for (; count > 0 && at->Valid(); --count) {
            show(user_data, as_bytes(at->key()), as_bytes(at->value()));
            if (backward)
                at->Prev();
            else
                at->Next();
        }
        must(at->status());
    }

private:
    /* The database uses both until its end, so it is destroyed first. */
    std::unique_ptr<leveldb::Cache> cache{ leveldb::NewLRUCache(cache_bytes) };
    std::unique_ptr<const leveldb::FilterPolicy> filter{ leveldb::NewBloomFilterPolicy(
        bloom_bits) };
    std::unique_ptr<leveldb::DB> db;
    leveldb::WriteOptions how;
};

} // namespace

extern "C" {

peer *open_leveldb(const char *path) { return new level(path, false); }
peer *open_leveldb_sync(const char *path) { return new level(path, true); }

const char *leveldb_version()
{
    static const std::string text =
        std::to_string(leveldb::kMajorVersion) + "." + std::to_string(leveldb::kMinorVersion);
    return text.c_str();
}

} // extern "C"
