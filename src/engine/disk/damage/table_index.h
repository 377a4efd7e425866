// The index of a table file, which names the last possible key of each data block.

#ifndef KVDS_TABLE_INDEX_H
#define KVDS_TABLE_INDEX_H

#include <memory>

#include <table/block_based/block.h>
#include <table/block_based/block_based_table_reader.h>

#include "../private_member.h"

namespace {

using TableIndex = rocksdb::InternalIteratorBase<rocksdb::IndexValue>;

struct NewIndexIterator {
    friend auto member_of(NewIndexIterator);
};
template struct PrivateMember<NewIndexIterator, &rocksdb::BlockBasedTable::NewIndexIterator>;

// Returns an iterator over the index of `table`. Both arguments outlive it.
inline std::unique_ptr<TableIndex> index_of(const rocksdb::BlockBasedTable &table,
                                            const rocksdb::ReadOptions &options)
{
    rocksdb::BlockCacheLookupContext context{ rocksdb::TableReaderCaller::kUncategorized };
    return std::unique_ptr<TableIndex>(
        (table.*member_of(NewIndexIterator()))(options, true, nullptr, nullptr, &context));
}

} // namespace

#endif
