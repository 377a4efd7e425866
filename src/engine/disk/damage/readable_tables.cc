// Opens a database with damaged tables, so that iterators show what can be read and lookups are
// certain.
//
// An iterator skips damaged blocks and damaged tables. So it shows at least every key whose current
// value can be read, but may show an older value of a key. A lookup fails where it would have to
// read something that is damaged. It reads from the newest table to the oldest and ends at the
// first version of the key, so a value that it returns is the current one.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <memory/arena.h>
#include <rocksdb/table.h>
#include <table/block_based/block_based_table_factory.h>
#include <table/table_builder.h>

#include "../interface.h"
#include "table_index.h"

namespace {

using rocksdb::Arena;
using rocksdb::BlockBasedTable;
using rocksdb::BlockBasedTableOptions;
using rocksdb::FragmentedRangeTombstoneIterator;
using rocksdb::GetContext;
using rocksdb::InternalIterator;
using rocksdb::InternalKey;
using rocksdb::ReadOptions;
using rocksdb::SequenceNumber;
using rocksdb::Slice;
using rocksdb::SliceTransform;
using rocksdb::Status;
using rocksdb::TableProperties;
using rocksdb::TableReader;
using rocksdb::TableReaderCaller;

// What iterators have skipped. The reading of a disk may fail at one time and not at another, so
// only the iterators themselves know.
struct SkippedKeys {
    std::uint64_t table;
    // The whole table if there is no first key.
    std::optional<std::string> first;
    // All further keys if there is no last one.
    std::optional<std::string> last;
};

class Skipped {
public:
    void add(SkippedKeys keys)
    {
        const std::lock_guard lock(mutex);
        all.push_back(std::move(keys));
        is_empty = false;
    }

    std::vector<SkippedKeys> take()
    {
        // Asked for each key.
        if (is_empty)
            return {};
        const std::lock_guard lock(mutex);
        is_empty = true;
        return std::exchange(all, {});
    }

private:
    std::mutex mutex;
    std::vector<SkippedKeys> all;
    std::atomic<bool> is_empty = true;
};

// The number of a table, and where to report what is skipped of it.
struct Origin {
    std::uint64_t table;
    std::shared_ptr<Skipped> skipped;
};

// Returns whether an error says that something cannot be read, and not that a limit was reached.
bool is_damage(const Status &status) { return status.IsCorruption() || status.IsIOError(); }

// Moves forward over what can be read of a table. Backward, it ends at the first damage.
class ReadableIterator : public InternalIterator {
public:
    ReadableIterator(const BlockBasedTable &table, const ReadOptions &options,
                     std::unique_ptr<InternalIterator> entries, const Origin &origin)
        : table(table), options(options), entries(std::move(entries)), origin(origin)
    {}

    bool Valid() const override { return entries->Valid(); }
    Slice key() const override { return entries->key(); }
    Slice user_key() const override { return entries->user_key(); }
    Slice value() const override { return entries->value(); }
    Status status() const override { return at_end ? Status::OK() : entries->status(); }

    void SeekToFirst() override
    {
        position.clear();
        entries->SeekToFirst();
        skip_damage();
    }

    void Seek(const Slice &target) override
    {
        position.assign(target.data(), target.size());
        entries->Seek(target);
        skip_damage();
    }

    void Next() override
    {
        const Slice before = entries->key();
        position.assign(before.data(), before.size());
        entries->Next();
        skip_damage();
    }

    void SeekToLast() override { entries->SeekToLast(); }
    void SeekForPrev(const Slice &target) override { entries->SeekForPrev(target); }
    void Prev() override { entries->Prev(); }

    // Values and keys are copied by the users of this iterator: a pinned block could not be
    // skipped.
    bool IsKeyPinned() const override { return false; }
    bool IsValuePinned() const override { return false; }

private:
    // Moves behind the damaged blocks at `position`.
    void skip_damage()
    {
        at_end = false;
        if (entries->Valid() || !is_damage(entries->status()))
            return;
        const auto index = index_of(table, options);
        // Each turn passes a block of the index, which is in order.
        while (!entries->Valid() && is_damage(entries->status())) {
            std::string first;
            if (position.empty()) {
                index->SeekToFirst();
            } else {
                index->Seek(position);
                first = rocksdb::ExtractUserKey(position).ToString();
            }
            if (!index->Valid()) {
                origin.skipped->add({ origin.table, std::move(first), std::nullopt });
                at_end = true;
                return;
            }
            std::string behind = index->user_key().ToString();
            origin.skipped->add({ origin.table, std::move(first), behind });
            // The first place behind the last key that the block can have.
            behind.push_back(0);
            const InternalKey next(behind, rocksdb::kMaxSequenceNumber, rocksdb::kValueTypeForSeek);
            position = next.Encode().ToString();
            entries->Seek(position);
        }
    }

    const BlockBasedTable &table;
    const ReadOptions &options;
    const std::unique_ptr<InternalIterator> entries;
    const Origin origin;
    // No entry behind this one, or at it, was shown. Empty for the begin.
    std::string position;
    bool at_end = false;
};

// A table whose iterators skip what is damaged.
class ReadableTable : public TableReader {
public:
    ReadableTable(std::unique_ptr<BlockBasedTable> table, Origin origin)
        : table(std::move(table)), origin(std::move(origin))
    {}

    InternalIterator *NewIterator(const ReadOptions &options, const SliceTransform *prefix,
                                  Arena *arena, bool skip_filters, TableReaderCaller caller,
                                  std::size_t readahead, bool) override
    {
        std::unique_ptr<InternalIterator> entries(
            table->NewIterator(options, prefix, nullptr, skip_filters, caller, readahead, false));
        if (arena == nullptr)
            return new ReadableIterator(*table, options, std::move(entries), origin);
        return new (arena->AllocateAligned(sizeof(ReadableIterator)))
            ReadableIterator(*table, options, std::move(entries), origin);
    }

    // Returns whether nothing can be read.
    bool is_empty()
    {
        const ReadOptions options;
        const std::unique_ptr<InternalIterator> entries(
            NewIterator(options, nullptr, nullptr, true, TableReaderCaller::kRepair, 0, false));
        entries->SeekToFirst();
        const std::unique_ptr<FragmentedRangeTombstoneIterator> tombstones(
            NewRangeTombstoneIterator(options));
        return !entries->Valid() && (tombstones == nullptr || tombstones->empty());
    }

    FragmentedRangeTombstoneIterator *NewRangeTombstoneIterator(const ReadOptions &options) override
    {
        return table->NewRangeTombstoneIterator(options);
    }

    FragmentedRangeTombstoneIterator *NewRangeTombstoneIterator(SequenceNumber sequence,
                                                                const Slice *timestamp) override
    {
        return table->NewRangeTombstoneIterator(sequence, timestamp);
    }

    std::uint64_t ApproximateOffsetOf(const ReadOptions &options, const Slice &key,
                                      TableReaderCaller caller) override
    {
        return table->ApproximateOffsetOf(options, key, caller);
    }

    std::uint64_t ApproximateSize(const ReadOptions &options, const Slice &start, const Slice &end,
                                  TableReaderCaller caller) override
    {
        return table->ApproximateSize(options, start, end, caller);
    }

    void SetupForCompaction() override { table->SetupForCompaction(); }

    std::shared_ptr<const TableProperties> GetTableProperties() const override
    {
        return table->GetTableProperties();
    }

    std::size_t ApproximateMemoryUsage() const override { return table->ApproximateMemoryUsage(); }

    Status Get(const ReadOptions &options, const Slice &key, GetContext *context,
               const SliceTransform *prefix, bool skip_filters) override
    {
        return table->Get(options, key, context, prefix, skip_filters);
    }

private:
    const std::unique_ptr<BlockBasedTable> table;
    const Origin origin;
};

// A table that cannot be opened: it has no entries to iterate, and every lookup fails.
class LostTable : public TableReader {
public:
    explicit LostTable(Status cause) : cause(std::move(cause)) {}

    InternalIterator *NewIterator(const ReadOptions &, const SliceTransform *, Arena *arena, bool,
                                  TableReaderCaller, std::size_t, bool) override
    {
        return rocksdb::NewErrorInternalIterator<Slice>(Status::OK(), arena);
    }

    std::uint64_t ApproximateOffsetOf(const ReadOptions &, const Slice &,
                                      TableReaderCaller) override
    {
        return 0;
    }

    std::uint64_t ApproximateSize(const ReadOptions &, const Slice &, const Slice &,
                                  TableReaderCaller) override
    {
        return 0;
    }

    void SetupForCompaction() override {}

    std::shared_ptr<const TableProperties> GetTableProperties() const override
    {
        return properties;
    }

    std::size_t ApproximateMemoryUsage() const override { return sizeof(*this); }

    Status Get(const ReadOptions &, const Slice &, GetContext *, const SliceTransform *,
               bool) override
    {
        return cause;
    }

private:
    const Status cause;
    const std::shared_ptr<const TableProperties> properties = std::make_shared<TableProperties>();
};

class ReadableTableFactory : public rocksdb::BlockBasedTableFactory {
public:
    // Without `keep_lost`, a table that cannot be opened is an error.
    ReadableTableFactory(const BlockBasedTableOptions &options, std::shared_ptr<Skipped> skipped,
                         bool keep_lost)
        : BlockBasedTableFactory(options), skipped(std::move(skipped)), keep_lost(keep_lost)
    {}

    using BlockBasedTableFactory::NewTableReader;
    Status NewTableReader(const ReadOptions &how, const rocksdb::TableReaderOptions &options,
                          std::unique_ptr<rocksdb::RandomAccessFileReader> &&file,
                          std::uint64_t size, std::unique_ptr<TableReader> *reader,
                          bool) const override
    {
        std::unique_ptr<TableReader> opened;
        const Status status = BlockBasedTableFactory::NewTableReader(how, options, std::move(file),
                                                                     size, &opened, false);
        if (status.ok()) {
            // The factory creates tables of this class only.
            std::unique_ptr<BlockBasedTable> table(
                static_cast<BlockBasedTable *>(opened.release()));
            auto readable = std::make_unique<ReadableTable>(
                std::move(table), Origin{ options.cur_file_num, skipped });
            // RepairDB fails with a table that has no first key.
            if (!keep_lost && readable->is_empty())
                return Status::Corruption("no block of the table can be read");
            *reader = std::move(readable);
        } else if (keep_lost && is_damage(status)) {
            skipped->add({ options.cur_file_num, std::nullopt, std::nullopt });
            *reader = std::make_unique<LostTable>(status);
        } else {
            return status;
        }
        return Status::OK();
    }

    std::unique_ptr<rocksdb::TableFactory> Clone() const override
    {
        return std::make_unique<ReadableTableFactory>(*this);
    }

private:
    std::shared_ptr<Skipped> skipped;
    bool keep_lost;
};

// Makes a database that is opened with `options` read what can be read.
std::shared_ptr<Skipped> read_damaged(rocksdb::Options &options, bool keep_lost)
{
    const auto skipped = std::make_shared<Skipped>();
    auto table = *options.table_factory->GetOptions<BlockBasedTableOptions>();
    // Nothing is pinned, so the size of the cache bounds the indexes and filters too.
    table.metadata_cache_options = { rocksdb::PinningTier::kNone, rocksdb::PinningTier::kNone,
                                     rocksdb::PinningTier::kNone };
    options.table_factory = std::make_shared<ReadableTableFactory>(table, skipped, keep_lost);
    options.paranoid_checks = false;
    options.create_if_missing = false;
    // Logs may be missing, and the last one was cut where it is damaged.
    options.track_and_verify_wals = false;
    // Nothing is merged: a merge would fail at the first damage.
    options.disable_auto_compactions = true;
    return skipped;
}

} // namespace

extern "C" {

// As in readable.rs.
struct kvds_rocksdb_skipped_keys {
    std::uint64_t table;
    // NULL for the whole table.
    const char *first;
    std::size_t first_len;
    // NULL for all further keys.
    const char *last;
    std::size_t last_len;
};

// Makes a database that is opened with `options` read what can be read. Returns what it skips.
std::shared_ptr<Skipped> *kvds_rocksdb_read_damaged(rocksdb_options_t *options)
{
    return new std::shared_ptr<Skipped>(read_damaged(options->rep, true));
}

void kvds_rocksdb_free_skipped(std::shared_ptr<Skipped> *skipped) { delete skipped; }

// Calls `visit` with what was skipped since the last call.
void kvds_rocksdb_take_skipped(std::shared_ptr<Skipped> *skipped,
                               void (*visit)(void *state, const kvds_rocksdb_skipped_keys *),
                               void *state)
{
    for (const auto &[table, first, last] : (*skipped)->take()) {
        const kvds_rocksdb_skipped_keys keys = {
            table,
            first ? first->data() : nullptr,
            first ? first->size() : 0,
            last ? last->data() : nullptr,
            last ? last->size() : 0,
        };
        visit(state, &keys);
    }
}

// Creates a manifest for the tables and logs in the directory `path`.
std::size_t kvds_rocksdb_rebuild_manifest(const rocksdb_options_t *options, const char *path,
                                          std::size_t path_len, char *text, std::size_t capacity)
{
    rocksdb::Options how = options->rep;
    read_damaged(how, false);
    return write_error(rocksdb::RepairDB(std::string(path, path_len), how), text, capacity);
}
}
