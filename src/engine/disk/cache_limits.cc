// Keeps blocks, indexes and filters within the size of the block cache, where RocksDB's options do
// not.

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

// A block that is larger than this fraction of the cache is not cached.
constexpr std::size_t MAX_BLOCK_FRACTION = 8;

// Indexes and filters are pinned in at most this fraction of the cache.
constexpr std::size_t PINNED_FRACTION = 2;

// The index and the filter of a table take less than this fraction of its file, except with the
// smallest pairs.
constexpr std::size_t INDEX_FRACTION = 8;

// A clock cache inserts a block that is larger than its capacity, and keeps it until another block
// needs the space. A large block holds one large value, so no lookup of another key finds it.
class CacheWithoutLargeBlocks : public rocksdb::CacheWrapper {
public:
    using CacheWrapper::CacheWrapper;

    const char *Name() const override { return "kvds.WithoutLarge"; }

    Status Insert(const Slice &key, ObjectPtr value, const CacheItemHelper *helper,
                  std::size_t charge, Handle **handle, Priority priority, const Slice &compressed,
                  rocksdb::CompressionType type) override
    {
        if (charge <= target_->GetCapacity() / MAX_BLOCK_FRACTION)
            return target_->Insert(key, value, helper, charge, handle, priority, compressed, type);
        if (handle != nullptr)
            *handle = target_->CreateStandalone(key, value, helper, charge, true);
        else if (helper->del_cb != nullptr)
            helper->del_cb(value, target_->memory_allocator());
        return Status::OK();
    }
};

// Pins the index and the filter of a table, which every read needs, only while there is space:
// pinned blocks stay in the cache whatever its capacity.
class TableFactory : public BlockBasedTableFactory {
public:
    explicit TableFactory(const BlockBasedTableOptions &options)
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
        const bool fits = cache->GetPinnedUsage() + size / INDEX_FRACTION <=
                          cache->GetCapacity() / PINNED_FRACTION;
        if (fits)
            return BlockBasedTableFactory::NewTableReader(how, options, std::move(file), size,
                                                          reader, prefetch);
        return unpinned.NewTableReader(how, options, std::move(file), size, reader, false);
    }

    std::unique_ptr<rocksdb::TableFactory> Clone() const override
    {
        return std::make_unique<TableFactory>(*this);
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
    table.block_cache = std::make_shared<CacheWithoutLargeBlocks>(table.block_cache);
    options->rep.table_factory = std::make_shared<TableFactory>(table);
}
}
