// Reads from a manifest which table files a database consists of. Opening the database would also
// open its tables and replay its logs, and fail where any of them is damaged.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <db/log_reader.h>
#include <db/version_edit_handler.h>
#include <file/sequence_file_reader.h>

#include "../interface.h"

namespace {

using rocksdb::ColumnFamilyData;
using rocksdb::FileMetaData;
using rocksdb::Slice;
using rocksdb::Status;
using rocksdb::VersionEdit;

struct Family {
    std::string name;
    std::map<std::uint64_t, FileMetaData> tables;
    // Earlier logs hold nothing of this column family that is not in a table.
    std::uint64_t first_log = 0;
};

// Applies the edits of a manifest to the list of tables.
class LiveTables : public rocksdb::VersionEditHandlerBase {
public:
    explicit LiveTables(const rocksdb::ReadOptions &options) : VersionEditHandlerBase(options)
    {
        families[0].name = rocksdb::kDefaultColumnFamilyName;
    }

    std::map<std::uint32_t, Family> families;
    std::uint64_t first_log = 0;
    std::uint64_t next_file = 0;

protected:
    Status ApplyVersionEdit(VersionEdit &edit, ColumnFamilyData **) override
    {
        if (edit.HasMinLogNumberToKeep())
            first_log = std::max(first_log, edit.GetMinLogNumberToKeep());
        if (edit.HasNextFile())
            next_file = edit.GetNextFile();
        const std::uint32_t id = edit.GetColumnFamily();
        if (edit.IsColumnFamilyAdd())
            families[id].name = edit.GetColumnFamilyName();
        const auto found = families.find(id);
        if (found == families.end())
            return Status::Corruption("an edit of a column family that does not exist");
        if (edit.IsColumnFamilyDrop()) {
            families.erase(found);
            return Status::OK();
        }
        auto &family = found->second;
        if (edit.HasLogNumber())
            family.first_log = std::max(family.first_log, edit.GetLogNumber());
        for (const auto &deleted : edit.GetDeletedFiles())
            family.tables.erase(deleted.second);
        for (const auto &[level, table] : edit.GetNewFiles())
            family.tables.insert_or_assign(table.fd.GetNumber(), table);
        return Status::OK();
    }
};

// Keeps the first damage that a log reader finds.
class FirstDamage : public rocksdb::log::Reader::Reporter {
public:
    void Corruption(std::size_t, const Status &found, std::uint64_t) override
    {
        if (status.ok())
            status = found;
    }

    Status status;
};

Status read_manifest(const rocksdb::Options &options, const std::string &path, LiveTables &live)
{
    std::unique_ptr<rocksdb::SequentialFileReader> file;
    const Status status = rocksdb::SequentialFileReader::Create(
        options.env->GetFileSystem(), path, rocksdb::FileOptions(), &file, nullptr, nullptr);
    if (!status.ok())
        return status;
    FirstDamage damage;
    rocksdb::log::Reader reader(nullptr, std::move(file), &damage, true, 0);
    live.Iterate(reader, &damage.status);
    return live.status();
}

} // namespace

extern "C" {

// As in live_tables.rs.
struct kvds_rocksdb_live_table {
    const char *family;
    std::size_t family_len;
    const char *smallest;
    std::size_t smallest_len;
    const char *largest;
    std::size_t largest_len;
    std::uint64_t number;
    std::uint64_t size;
    std::uint64_t tail_size;
};

// Calls `visit` for each table of the manifest `path`, and sets `first_log` to the number of the
// first log that is still needed, and `next_file` to that of the next new file.
std::size_t kvds_rocksdb_live_tables(const rocksdb_options_t *options, const char *path,
                                     std::size_t path_len,
                                     void (*visit)(void *state, const kvds_rocksdb_live_table *),
                                     void *state, std::uint64_t *first_log,
                                     std::uint64_t *next_file, char *text, std::size_t capacity)
{
    const rocksdb::ReadOptions read;
    LiveTables live(read);
    const Status status = read_manifest(options->rep, std::string(path, path_len), live);
    if (!status.ok())
        return write_error(status, text, capacity);
    std::uint64_t first_needed = UINT64_MAX;
    for (const auto &[id, family] : live.families) {
        first_needed = std::min(first_needed, family.first_log);
        for (const auto &[number, table] : family.tables) {
            const Slice smallest = table.smallest.user_key(), largest = table.largest.user_key();
            const kvds_rocksdb_live_table entry = {
                family.name.data(), family.name.size(), smallest.data(), smallest.size(),
                largest.data(),     largest.size(),     number,          table.fd.GetFileSize(),
                table.tail_size,
            };
            visit(state, &entry);
        }
    }
    *first_log = std::max(first_needed, live.first_log);
    *next_file = live.next_file;
    return 0;
}
}
