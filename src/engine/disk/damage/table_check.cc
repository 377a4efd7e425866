// Verifies a table file block by block. RocksDB's own verification ends at the first damage.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include <file/random_access_file_reader.h>
#include <options/cf_options.h>
#include <rocksdb/file_system.h>
#include <rocksdb/table.h>
#include <table/block_based/block_based_table_factory.h>
#include <table/block_based/reader_common.h>
#include <table/meta_blocks.h>
#include <table/table_builder.h>

#include "../interface.h"
#include "table_index.h"

namespace {

using rocksdb::BlockBasedTable;
using rocksdb::BlockHandle;
using rocksdb::BlockType;
using rocksdb::RandomAccessFileReader;
using rocksdb::Slice;
using rocksdb::Status;

// The bytes that are read at once.
constexpr std::size_t CHUNK = 1 << 20;

// As in table_check.rs.
enum Part : std::int32_t {
    // Bytes were read. Nothing is damaged.
    READ = 0,
    // Nothing that is needed is damaged.
    FILTER = 1,
    // The keys from the last one of the block before up to `last` may be in the damaged part.
    BLOCK = 2,
    // No key of the file can be read.
    FILE = 3,
};

} // namespace

extern "C" {

// As in table_check.rs.
struct kvds_rocksdb_table_part {
    const char *problem;
    std::size_t problem_len;
    // NULL for the first key of the file.
    const char *first;
    std::size_t first_len;
    // NULL for the last key of the file.
    const char *last;
    std::size_t last_len;
    // The bytes that were read since the last call.
    std::uint64_t bytes;
    std::int32_t part;
};
}

namespace {

// Called with each damage, and after each chunk. Returns whether to continue.
using Visit = bool (*)(void *state, const kvds_rocksdb_table_part *);

// The beginning of a file, of the size that the manifest lists. RocksDB opens no table that is
// longer, although its blocks are found from the listed end.
class Beginning : public rocksdb::FSRandomAccessFileOwnerWrapper {
public:
    Beginning(std::unique_ptr<rocksdb::FSRandomAccessFile> &&file, std::uint64_t size)
        : FSRandomAccessFileOwnerWrapper(std::move(file)), size(size)
    {}

private:
    const std::uint64_t size;

    rocksdb::IOStatus GetFileSize(std::uint64_t *result) override
    {
        *result = size;
        return rocksdb::IOStatus::OK();
    }
};

class TableCheck {
public:
    TableCheck(const rocksdb::Options &options, std::string path, std::uint64_t size,
               std::uint64_t tail_size, Visit visit, void *state)
        : options(options), path(std::move(path)), size(size), tail_size(tail_size), visit(visit),
          state(state)
    {
        this->options.info_log = nullptr;
        rocksdb::BlockBasedTableOptions table;
        // The index is read here, and belongs to the table.
        table.no_block_cache = true;
        table.cache_index_and_filter_blocks = false;
        factory = std::make_unique<rocksdb::BlockBasedTableFactory>(table);
    }

    void run()
    {
        const Status status = open();
        if (!status.ok()) {
            damaged_file(text_of(status));
            return;
        }
        if (check_meta_blocks())
            check_data_blocks();
    }

private:
    Status open()
    {
        std::unique_ptr<rocksdb::FSRandomAccessFile> opened_file;
        const Status opened = options.env->GetFileSystem()->NewRandomAccessFile(
            path, rocksdb::FileOptions(options), &opened_file, nullptr);
        if (!opened.ok())
            return opened;
        auto reader = std::make_unique<RandomAccessFileReader>(
            std::make_unique<Beginning>(std::move(opened_file), size), path);
        immutable = std::make_unique<rocksdb::ImmutableOptions>(options);
        const rocksdb::MutableCFOptions changing(options);
        rocksdb::TableReaderOptions how(
            *immutable, changing.prefix_extractor, changing.compression_manager.get(), files,
            immutable->internal_comparator, changing.block_protection_bytes_per_key);
        how.largest_seqno = rocksdb::kMaxSequenceNumber;
        how.tail_size = tail_size;
        std::unique_ptr<rocksdb::TableReader> opened_table;
        const Status status = factory->NewTableReader(read_options, how, std::move(reader), size,
                                                      &opened_table, false);
        // The factory creates tables of this class only.
        table.reset(static_cast<BlockBasedTable *>(opened_table.release()));
        return status;
    }

    // Checks the blocks that opening the table did not read. Returns whether to continue.
    bool check_meta_blocks()
    {
        rocksdb::BlockContents contents;
        const Status status =
            rocksdb::ReadMetaIndexBlockInFile(file(), size, rocksdb::kBlockBasedTableMagicNumber,
                                              *immutable, read_options, &contents);
        if (!status.ok())
            return damaged_file(text_of(status));
        rocksdb::Block block(std::move(contents));
        const std::unique_ptr<rocksdb::InternalIterator> entries(block.NewMetaIterator());
        for (entries->SeekToFirst(); entries->Valid(); entries->Next()) {
            const std::string name = entries->key().ToString();
            BlockHandle handle;
            Slice encoded = entries->value();
            // What is not a handle belongs to another kind of entry.
            if (name == rocksdb::kPropertiesBlockName || !handle.DecodeFrom(&encoded).ok())
                continue;
            const bool is_filter = name.find("filter.") != std::string::npos;
            const std::string problem = problem_of(handle, is_filter ? "filter" : name);
            if (problem.empty())
                continue;
            if (!is_filter)
                return damaged_file(problem);
            if (!tell({ problem.data(), problem.size(), nullptr, 0, nullptr, 0, 0, FILTER }))
                return false;
        }
        return true;
    }

    void check_data_blocks()
    {
        const auto index = index_of(*table, read_options);
        std::string before;
        bool is_first = true;
        std::uint64_t told = 0;
        for (index->SeekToFirst(); index->Valid(); index->Next()) {
            const BlockHandle handle = index->value().handle;
            const std::string problem = problem_of(handle, "data block");
            const Slice last = index->user_key();
            if (!problem.empty() &&
                !tell({ problem.data(), problem.size(), is_first ? nullptr : before.data(),
                        before.size(), last.data(), last.size(), 0, BLOCK }))
                return;
            before.assign(last.data(), last.size());
            is_first = false;
            const std::uint64_t done = handle.offset() + handle.size();
            if (done >= told + CHUNK) {
                if (!tell({ nullptr, 0, nullptr, 0, nullptr, 0, done - told, READ }))
                    return;
                told = done;
            }
        }
        const Status status = index->status();
        if (!status.ok()) {
            const std::string problem = text_of(status);
            tell({ problem.data(), problem.size(), is_first ? nullptr : before.data(),
                   before.size(), nullptr, 0, 0, BLOCK });
        }
    }

    // Returns what is damaged in a block; empty for nothing.
    std::string problem_of(const BlockHandle &handle, const std::string &name)
    {
        const std::string place = " in the " + name + " at offset " +
                                  std::to_string(handle.offset()) + ", " +
                                  std::to_string(handle.size()) + " bytes";
        const std::uint64_t len = handle.size() + BlockBasedTable::kBlockTrailerSize;
        if (handle.offset() > size || len > size - handle.offset())
            return "a block behind the end of the file" + place;
        Slice bytes;
        const Status status = read(handle.offset(), static_cast<std::size_t>(len), &bytes);
        if (!status.ok())
            return text_of(status) + place;
        const Status verified = rocksdb::VerifyBlockChecksum(
            table->get_rep()->footer, bytes.data(), static_cast<std::size_t>(handle.size()), path,
            handle.offset(), BlockType::kData);
        return verified.ok() ? std::string() : "checksum mismatch" + place;
    }

    // Reads bytes of the file, and some behind them for the next call.
    Status read(std::uint64_t offset, std::size_t len, Slice *bytes)
    {
        if (offset < chunk_offset || offset + len > chunk_offset + chunk.size()) {
            const std::uint64_t rest = size - offset;
            Status status =
                fill(offset,
                     static_cast<std::size_t>(std::min<std::uint64_t>(rest, std::max(len, CHUNK))));
            // One unreadable sector must not hide the blocks behind it.
            if (!status.ok() || chunk.size() < len)
                status = fill(offset, len);
            if (!status.ok())
                return status;
            if (chunk.size() < len)
                return Status::Corruption("the file is truncated");
        }
        *bytes = Slice(chunk.data() + (offset - chunk_offset), len);
        return Status::OK();
    }

    Status fill(std::uint64_t offset, std::size_t len)
    {
        if (buffer.size() < len)
            buffer.resize(len);
        chunk_offset = offset;
        chunk = Slice();
        return file()->Read(rocksdb::IOOptions(), offset, len, &chunk, buffer.data());
    }

    RandomAccessFileReader *file() { return table->get_rep()->file.get(); }

    bool damaged_file(const std::string &problem)
    {
        tell({ problem.data(), problem.size(), nullptr, 0, nullptr, 0, 0, FILE });
        return false;
    }

    bool tell(const kvds_rocksdb_table_part &part) { return visit(state, &part); }

    static std::string text_of(const Status &status)
    {
        const char *detail = status.getState();
        return detail != nullptr && *detail != 0 ? detail : status.ToString();
    }

    rocksdb::Options options;
    const rocksdb::EnvOptions files{ options };
    const rocksdb::ReadOptions read_options{ true, false };
    const std::string path;
    const std::uint64_t size;
    const std::uint64_t tail_size;
    const Visit visit;
    void *const state;
    std::unique_ptr<rocksdb::BlockBasedTableFactory> factory;
    std::unique_ptr<rocksdb::ImmutableOptions> immutable;
    // Refers to the options above.
    std::unique_ptr<BlockBasedTable> table;
    std::string buffer;
    std::uint64_t chunk_offset = 0;
    Slice chunk;
};

} // namespace

// Checks the table file `path` of `size` bytes, of which the last `tail_size` are no data blocks
// (0 if that is not known).
extern "C" void kvds_rocksdb_check_table(const rocksdb_options_t *options, const char *path,
                                         std::size_t path_len, std::uint64_t size,
                                         std::uint64_t tail_size, Visit visit, void *state)
{
    TableCheck(options->rep, std::string(path, path_len), size, tail_size, visit, state).run();
}
