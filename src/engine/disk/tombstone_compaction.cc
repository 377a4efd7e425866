// Makes RocksDB compact table files that are full of deletions. It considers only sizes, so an idle
// store would keep deleted entries.

#include <cstddef>
#include <cstdint>
#include <memory>

#include <rocksdb/table_properties.h>

#include "interface.h"

namespace {

using rocksdb::EntryType;
using rocksdb::SequenceNumber;
using rocksdb::Slice;
using rocksdb::Status;
using rocksdb::TablePropertiesCollector;

// This many deletions among twice as many entries in a row are worth a compaction: an iterator
// skips each of them.
constexpr std::size_t MANY = 64;

// Inspects the entries of one table file. RocksDB compacts a marked file into the next level, where
// the new file is inspected again. So deletions move down until they meet what they delete. RocksDB
// ignores the mark in the last level.
class DeletionCollector : public TablePropertiesCollector {
public:
    Status AddUserKey(const Slice &, const Slice &, EntryType type, SequenceNumber,
                      std::uint64_t) override
    {
        // A range tombstone may delete whole files.
        if (type == rocksdb::kEntryRangeDeletion) {
            marked = true;
            return Status::OK();
        }
        ++entries;
        if (type == rocksdb::kEntryDelete || type == rocksdb::kEntrySingleDelete) {
            ++deletions;
            ++last_deletions;
        }
        if (previous_deletions + last_deletions >= MANY)
            marked = true;
        if (entries % MANY == 0) {
            previous_deletions = last_deletions;
            last_deletions = 0;
        }
        return Status::OK();
    }

    Status Finish(rocksdb::UserCollectedProperties *) override
    {
        if (deletions * 2 > entries)
            marked = true;
        return Status::OK();
    }

    bool NeedCompact() const override { return marked; }
    rocksdb::UserCollectedProperties GetReadableProperties() const override { return {}; }
    const char *Name() const override { return "kvds.Deletions"; }

private:
    std::size_t entries = 0;
    std::size_t deletions = 0;
    // Deletions among the last entries, fewer than MANY, and among the MANY before them.
    std::size_t last_deletions = 0;
    std::size_t previous_deletions = 0;
    bool marked = false;
};

class DeletionCollectorFactory : public rocksdb::TablePropertiesCollectorFactory {
    TablePropertiesCollector *CreateTablePropertiesCollector(Context) override
    {
        return new DeletionCollector;
    }
    const char *Name() const override { return "kvds.Deletions"; }
};

} // namespace

extern "C" void kvds_rocksdb_compact_deletions(rocksdb_options_t *options)
{
    options->rep.table_properties_collector_factories.push_back(
        std::make_shared<DeletionCollectorFactory>());
}
