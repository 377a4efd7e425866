// Keeps what RocksDB has in memory of tables within the size of the block cache, where its options
// do not.

#include <memory>
#include <utility>

#include <rocksdb/advanced_cache.h>
#include <rocksdb/table.h>
#include <table/block_based/block_based_table_factory.h>
#include <table/table_reader.h>

#include "interface.h"

namespace {

using rocksdb::BlockBasedTableFactory;
using rocksdb::BlockBasedTableOptions;
using rocksdb::PinningTier;
using rocksdb::Slice;
using rocksdb::Status;

// A block that is larger than this part of the cache is not kept.
constexpr std::size_t LARGEST = 8;

// Indexes and filters are pinned in at most this part of the cache.
constexpr std::size_t PINNED = 2;

// The index and the filter of a table take less than this part of its file, but for the smallest
// pairs.
constexpr std::size_t INDEX_AND_FILTER = 8;

// A clock cache takes in a block that is larger than all that it holds, whatever its capacity, and
// has it until something else needs the room. Large blocks belong to large values, which are not
// found by looking for the next value.
class WithoutLarge : public rocksdb::CacheWrapper {
public:
    using CacheWrapper::CacheWrapper;

    const char *Name() const override { return "kvds.WithoutLarge"; }

    Status Insert(const Slice &key, ObjectPtr value, const CacheItemHelper *helper,
                  std::size_t charge, Handle **handle, Priority priority, const Slice &compressed,
                  rocksdb::CompressionType type) override
    {
        if (charge <= target_->GetCapacity() / LARGEST)
            return target_->Insert(key, value, helper, charge, handle, priority, compressed, type);
        if (handle != nullptr)
            *handle = target_->CreateStandalone(key, value, helper, charge, true);
        else if (helper->del_cb != nullptr)
            helper->del_cb(value, target_->memory_allocator());
        return Status::OK();
    }
};

// Pins the index and the filter of a table, which every read needs, only while there is room:
// pinned blocks are in the cache whatever its capacity.
class Factory : public BlockBasedTableFactory {
public:
    explicit Factory(const BlockBasedTableOptions &options)
        : BlockBasedTableFactory(options), unpinned(without_pins(options))
    {
        cache = options.block_cache;
    }

    using BlockBasedTableFactory::NewTableReader;
    Status NewTableReader(const rocksdb::ReadOptions &how,
                          const rocksdb::TableReaderOptions &options,
                          std::unique_ptr<rocksdb::RandomAccessFileReader> &&file, uint64_t size,
                          std::unique_ptr<rocksdb::TableReader> *reader,
                          bool prefetch) const override
    {
        const bool fits =
            cache->GetPinnedUsage() + size / INDEX_AND_FILTER <= cache->GetCapacity() / PINNED;
        if (fits)
            return BlockBasedTableFactory::NewTableReader(how, options, std::move(file), size,
                                                          reader, prefetch);
        return unpinned.NewTableReader(how, options, std::move(file), size, reader, false);
    }

    std::unique_ptr<TableFactory> Clone() const override
    {
        return std::make_unique<Factory>(*this);
    }

private:
    static BlockBasedTableOptions without_pins(BlockBasedTableOptions options)
    {
        options.metadata_cache_options = { PinningTier::kNone, PinningTier::kNone,
                                           PinningTier::kNone };
        return options;
    }

    BlockBasedTableFactory unpinned;
    std::shared_ptr<rocksdb::Cache> cache;
};

} // namespace

extern "C" {

void kvds_rocksdb_limit_cache(rocksdb_options_t *options)
{
    auto table = *options->rep.table_factory->GetOptions<BlockBasedTableOptions>();
    table.block_cache = std::make_shared<WithoutLarge>(table.block_cache);
    options->rep.table_factory = std::make_shared<Factory>(table);
}

// Begins to flush the table in memory, and waits for nothing.
std::size_t kvds_rocksdb_start_flush(rocksdb_t *database, char *text, std::size_t capacity)
{
    rocksdb::FlushOptions how;
    how.wait = false;
    how.allow_write_stall = true;
    return tell(database->rep->Flush(how), text, capacity);
}
}
