// Has RocksDB compact what is full of deletions. It goes by sizes alone, so that an idle store
// would keep what was deleted.

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

// So many deletions among twice as many entries in a row are worth a compaction: iterators step
// over each of them.
constexpr std::size_t MANY = 64;

// Looks at the entries of one table file. A file that is marked is compacted into the next level,
// and the file that comes of that is looked at again, so deletions move down until they meet what
// they delete. RocksDB leaves the last level alone.
class Collector : public TablePropertiesCollector {
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
            ++here;
        }
        if (before + here >= MANY)
            marked = true;
        if (entries % MANY == 0) {
            before = here;
            here = 0;
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
    std::size_t here = 0;
    std::size_t before = 0;
    bool marked = false;
};

class Factory : public rocksdb::TablePropertiesCollectorFactory {
    TablePropertiesCollector *CreateTablePropertiesCollector(Context) override
    {
        return new Collector;
    }
    const char *Name() const override { return "kvds.Deletions"; }
};

} // namespace

extern "C" void kvds_rocksdb_compact_deletions(rocksdb_options_t *options)
{
    options->rep.table_properties_collector_factories.push_back(std::make_shared<Factory>());
}
