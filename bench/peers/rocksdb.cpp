/* The original design on disk: RocksDB with its default options, and get, then put, for atomic
 * operations. And TransactionDB, RocksDB's own way to be atomic. */

#include "peer.hpp"

#include <memory>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/transaction.h>
#include <rocksdb/utilities/transaction_db.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

namespace {

using rocksdb::Slice;
using rocksdb::Status;

Slice slice(bytes from) { return Slice(from.data, from.len); }
bytes as_bytes(const Slice &from) { return { from.data(), from.size() }; }

void must(const Status &status)
{
    if (!status.ok())
        fail(status.ToString());
}

/** Returns true for success, false for "not found". */
bool found(const Status &status)
{
    if (status.IsNotFound())
        return false;
    must(status);
    return true;
}

class original_disk : public peer {
public:
    original_disk(rocksdb::DB *opened, bool sync) : db(opened) { how.sync = sync; }

    bool get(bytes key, bytes &value) override
    {
        std::string &text = read_string();
        if (!found(db->Get({}, slice(key), &text)))
            return false;
        value = ::as_bytes(text);
        return true;
    }

    bool exists(bytes key) override { return found(db->Get({}, slice(key), &read_string())); }

    void set(bytes key, bytes value) override { must(db->Put(how, slice(key), slice(value))); }

    bool del(bytes key) override
    {
        must(db->Delete(how, slice(key)));
        return true;
    }

    bool set_nx(bytes key, bytes value) override
    {
        if (exists(key))
            return false;
        set(key, value);
        return true;
    }

    bool compare_and_swap(bytes key, bytes expected, bytes value) override
    {
        std::string &text = read_string();
        if (!found(db->Get({}, slice(key), &text)) || Slice(text) != slice(expected))
            return false;
        set(key, value);
        return true;
    }

    void set_batch(const pair *pairs, std::size_t count) override
    {
        rocksdb::WriteBatch batch;
        for (std::size_t index = 0; index < count; ++index)
            must(batch.Put(slice(pairs[index].key), slice(pairs[index].value)));
        must(db->Write(how, &batch));
    }

    void iterate(bytes prefix, visit show, void *user_data) override
    {
        std::unique_ptr<rocksdb::Iterator> at(db->NewIterator({}));
        for (at->Seek(slice(prefix)); at->Valid() && at->key().starts_with(slice(prefix));
             at->Next())
            if (!show(user_data, as_bytes(at->key()), as_bytes(at->value())))
                break;
        must(at->status());
    }

    void scan(bytes start, std::size_t count, bool backward, visit show, void *user_data) override
    {
        std::unique_ptr<rocksdb::Iterator> at(db->NewIterator({}));
        if (backward)
            at->SeekForPrev(slice(start));
        else
            at->Seek(slice(start));
        for (; count > 0 && at->Valid(); --count) {
            show(user_data, as_bytes(at->key()), as_bytes(at->value()));
            if (backward)
                at->Prev();
            else
                at->Next();
        }
        must(at->status());
    }

protected:
    std::unique_ptr<rocksdb::DB> db;
    rocksdb::WriteOptions how;
};

/** Differs only in its atomic operations. */
class transaction_db final : public original_disk {
public:
    explicit transaction_db(rocksdb::TransactionDB *opened)
        : original_disk(opened, false), locking(opened)
    {}

    bool set_nx(bytes key, bytes value) override
    {
        std::unique_ptr<rocksdb::Transaction> one(locking->BeginTransaction(how));
        if (found(one->GetForUpdate({}, slice(key), &read_string())))
            return false;
        return commit(*one, key, value);
    }

    bool compare_and_swap(bytes key, bytes expected, bytes value) override
    {
        std::unique_ptr<rocksdb::Transaction> one(locking->BeginTransaction(how));
        std::string &text = read_string();
        if (!found(one->GetForUpdate({}, slice(key), &text)) || Slice(text) != slice(expected))
            return false;
        return commit(*one, key, value);
    }

private:
    static bool commit(rocksdb::Transaction &one, bytes key, bytes value)
    {
        must(one.Put(slice(key), slice(value)));
        must(one.Commit());
        return true;
    }

    rocksdb::TransactionDB *locking;
};

rocksdb::Options options()
{
    rocksdb::Options options;
    options.create_if_missing = true;
    return options;
}

/** With the memory and the compression of kvds. */
rocksdb::Options tuned()
{
    rocksdb::BlockBasedTableOptions tables;
    tables.block_cache = rocksdb::NewLRUCache(cache_bytes);
    tables.filter_policy.reset(rocksdb::NewBloomFilterPolicy(bloom_bits));
    rocksdb::Options tuned = options();
    tuned.table_factory.reset(rocksdb::NewBlockBasedTableFactory(tables));
    tuned.db_write_buffer_size = write_buffer_bytes;
    tuned.compression = rocksdb::kLZ4Compression;
    return tuned;
}

peer *open_with(const rocksdb::Options &options, const char *path, bool sync)
{
    rocksdb::DB *db;
    must(rocksdb::DB::Open(options, path, &db));
    return new original_disk(db, sync);
}

} // namespace

extern "C" {

peer *open_original_disk(const char *path) { return open_with(options(), path, false); }
peer *open_original_disk_sync(const char *path) { return open_with(options(), path, true); }
peer *open_rocksdb(const char *path) { return open_with(tuned(), path, false); }

peer *open_transaction_db(const char *path)
{
    rocksdb::TransactionDB *db;
    must(rocksdb::TransactionDB::Open(tuned(), {}, path, &db));
    return new transaction_db(db);
}

const char *rocksdb_version()
{
    static const std::string text = rocksdb::GetRocksVersionAsString();
    return text.c_str();
}

} // extern "C"
