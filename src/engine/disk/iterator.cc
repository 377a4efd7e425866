// Iterators over the visible pairs of a database.
//
// RocksDB's own iterator, DBIter, supports merge operands, blobs, wide columns and timestamps. That
// takes a third of the time of a step. A store of kvds has values and deletions only, so this
// iterator picks the visible version of each key itself, from the same internal iterators. At an
// entry of another kind, which another program wrote, DBIter takes over.
//
// An internal iterator shows every version of every key: keys ascend, and the versions of a key
// descend from the newest. It leaves out what a range tombstone deletes.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <db/arena_wrapped_db_iter.h>
#include <db/column_family.h>
#include <db/db_impl/db_impl.h>
#include <db/dbformat.h>
#include <memory/arena.h>
#include <table/iterator_wrapper.h>
#include <util/coding.h>

#include "interface.h"

namespace {

using rocksdb::DBImpl;
using rocksdb::SequenceNumber;
using rocksdb::Slice;
using rocksdb::Status;

// After so many hidden versions of a key, the iterator seeks instead of stepping.
constexpr unsigned MAX_STEPS = 8;

// What an internal key consists of.
struct Version {
    Slice key;
    SequenceNumber sequence;
    rocksdb::ValueType type;
};

class VisiblePairs {
public:
    // `snapshot` is the sequence number to read at, or kMaxSequenceNumber for the current one.
    VisiblePairs(DBImpl &db, SequenceNumber snapshot, Slice lower, const Slice *upper)
        : db(db), lower(lower.ToString()), has_upper(upper != nullptr),
          upper(upper != nullptr ? upper->ToString() : std::string()), lower_bound(this->lower),
          upper_bound(this->upper)
    {
        if (!lower_bound.empty())
            options.iterate_lower_bound = &lower_bound;
        if (has_upper)
            options.iterate_upper_bound = &upper_bound;
        options.io_activity = rocksdb::Env::IOActivity::kDBIterator;
        auto &column = *this->column()->cfd();
        version = column.GetReferencedSuperVersion(&db);
        // Read after the version is referenced: otherwise a flush and a compaction could drop what
        // is visible at this number.
        sequence =
            snapshot == rocksdb::kMaxSequenceNumber ? db.GetLatestSequenceNumber() : snapshot;
        scan_trigger = version->mutable_cf_options.memtable_op_scan_flush_trigger;
        memtable_start = version->mem->IsEmpty() ? version->mem->GetEarliestSequenceNumber()
                                                 : version->mem->GetFirstSequenceNumber();
        entries.Set(db.NewInternalIterator(options, &column, version, &arena, sequence, false));
    }

    VisiblePairs(const VisiblePairs &) = delete;
    VisiblePairs &operator=(const VisiblePairs &) = delete;

    ~VisiblePairs() { entries.DeleteIter(true); }

    void first()
    {
        if (general)
            return general->SeekToFirst();
        if (lower.empty())
            entries.SeekToFirst();
        else
            entries.Seek(before_versions(lower));
        find_next(false);
    }

    void last()
    {
        if (general)
            return general->SeekToLast();
        if (has_upper)
            entries.SeekForPrev(before_all(upper));
        else
            entries.SeekToLast();
        find_previous();
    }

    void seek(Slice target)
    {
        if (general)
            return general->Seek(target);
        entries.Seek(before_versions(target.compare(lower) < 0 ? Slice(lower) : target));
        find_next(false);
    }

    // The iterator is on a pair.
    void next()
    {
        if (general)
            return general->Next();
        if (is_forward) {
            entries.Next();
            find_next(has_older);
        } else {
            entries.Seek(before_versions(key));
            find_next(true);
        }
    }

    // The iterator is on a pair.
    void previous()
    {
        if (general)
            return general->Prev();
        if (is_forward)
            entries.SeekForPrev(before_all(rocksdb::ExtractUserKey(entries.key())));
        find_previous();
    }

    // Returns whether the iterator is on a pair, and the pair.
    bool pair(Slice *key_out, Slice *value_out) const
    {
        if (general) {
            if (!general->Valid())
                return false;
            *key_out = general->key();
            *value_out = general->value();
        } else {
            if (!valid)
                return false;
            *key_out = is_forward ? rocksdb::ExtractUserKey(entries.key()) : Slice(key);
            *value_out = is_forward ? entries.value() : Slice(value);
        }
        return true;
    }

    Status status() const
    {
        if (general)
            return general->status();
        return own_status.ok() ? entries.status() : own_status;
    }

private:
    rocksdb::ColumnFamilyHandleImpl *column() const
    {
        return static_cast<rocksdb::ColumnFamilyHandleImpl *>(db.DefaultColumnFamily());
    }

    // Returns the internal key of the newest visible version of `user_key`.
    Slice before_versions(Slice user_key)
    {
        return internal_key(user_key, sequence, rocksdb::kValueTypeForSeek);
    }

    // Returns the internal key before all versions of `user_key`.
    Slice before_all(Slice user_key)
    {
        return internal_key(user_key, rocksdb::kMaxSequenceNumber,
                            rocksdb::kValueTypeForSeekForPrev);
    }

    Slice internal_key(Slice user_key, SequenceNumber number, rocksdb::ValueType type)
    {
        target.clear();
        rocksdb::AppendInternalKey(&target, rocksdb::ParsedInternalKey(user_key, number, type));
        return target;
    }

    // Parses the current entry. Returns false, and is on no pair, if it is damaged.
    bool parse(Version *parsed)
    {
        const Slice internal = entries.key();
        if (internal.size() < rocksdb::kNumInternalBytes) {
            own_status = Status::Corruption("an internal key is too short");
            valid = false;
            return false;
        }
        const std::size_t len = internal.size() - rocksdb::kNumInternalBytes;
        const std::uint64_t footer = rocksdb::DecodeFixed64(internal.data() + len);
        *parsed = { Slice(internal.data(), len), footer >> 8,
                    static_cast<rocksdb::ValueType>(footer & 0xff) };
        return true;
    }

    // Moves forward to a visible pair, from the current entry on. With `skips_key`, older versions
    // of `key` are hidden.
    void find_next(bool skips_key)
    {
        is_forward = true;
        own_status = Status::OK();
        std::uint32_t hidden_in_memtable = 0;
        unsigned newer = 0;
        unsigned older = 0;
        // Ends: each step or seek moves forward.
        while (entries.Valid()) {
            Version entry;
            if (!parse(&entry))
                return;
            if (has_upper && entries.UpperBoundCheckResult() != rocksdb::IterBoundCheck::kInbound &&
                entry.key.compare(upper_bound) >= 0)
                break;
            if (entry.sequence > sequence) {
                if (newer == 0 || entry.key != Slice(unseen)) {
                    unseen.assign(entry.key.data(), entry.key.size());
                    newer = 1;
                } else if (++newer > MAX_STEPS) {
                    entries.Seek(before_versions(unseen));
                    newer = 0;
                    continue;
                }
            } else if (skips_key && entry.key == Slice(key)) {
                count_hidden(entry, &hidden_in_memtable);
                if (++older > MAX_STEPS) {
                    entries.Seek(internal_key(key, 0, rocksdb::kTypeDeletion));
                    older = 0;
                    continue;
                }
            } else if (entry.type == rocksdb::kTypeValue) {
                // Sequence number 0 tells that there is no older version.
                has_older = entry.sequence > 0;
                if (has_older)
                    key.assign(entry.key.data(), entry.key.size());
                valid = true;
                return;
            } else if (is_deletion(entry)) {
                count_hidden(entry, &hidden_in_memtable);
                key.assign(entry.key.data(), entry.key.size());
                skips_key = true;
                older = 0;
            } else {
                key.assign(entry.key.data(), entry.key.size());
                return take_over(entry);
            }
            entries.Next();
        }
        valid = false;
    }

    // Moves backward to a visible pair, from the current entry on.
    void find_previous()
    {
        is_forward = false;
        own_status = Status::OK();
        // Ends: each step or seek moves backward, to the versions of a smaller key.
        while (entries.Valid()) {
            Version entry;
            if (!parse(&entry))
                return;
            if (entry.key.compare(lower_bound) < 0)
                break;
            key.assign(entry.key.data(), entry.key.size());
            bool found = false;
            for (unsigned steps = 0;; steps++) {
                if (entry.sequence <= sequence && !note_older(entry, &found))
                    return take_over(entry);
                if (steps == MAX_STEPS) {
                    entries.Seek(before_versions(key));
                    found = false;
                    if (entries.Valid()) {
                        if (!parse(&entry))
                            return;
                        if (entry.key == Slice(key) && !note_older(entry, &found))
                            return take_over(entry);
                    }
                    if (!entries.status().ok()) {
                        valid = false;
                        return;
                    }
                    entries.SeekForPrev(before_all(key));
                    break;
                }
                entries.Prev();
                if (!entries.Valid())
                    break;
                if (!parse(&entry))
                    return;
                if (entry.key != Slice(key))
                    break;
            }
            if (found) {
                // An error behind the pair is shown by the next move.
                valid = true;
                return;
            }
        }
        valid = false;
    }

    // Notes a visible version of `key`, which hides the older ones before it. Returns false if the
    // entry is of another kind.
    bool note_older(const Version &entry, bool *found)
    {
        *found = entry.type == rocksdb::kTypeValue;
        if (*found) {
            const Slice bytes = entries.value();
            value.assign(bytes.data(), bytes.size());
        }
        return *found || is_deletion(entry);
    }

    static bool is_deletion(const Version &entry)
    {
        return entry.type == rocksdb::kTypeDeletion || entry.type == rocksdb::kTypeSingleDeletion;
    }

    // Lets RocksDB flush a memtable in which a move skips too many entries, as DBIter does.
    void count_hidden(const Version &entry, std::uint32_t *hidden)
    {
        if (scan_trigger != 0 && entry.sequence >= memtable_start && ++*hidden >= scan_trigger) {
            version->mem->MarkForFlush();
            scan_trigger = 0;
        }
    }

    // Lets DBIter take over at an entry of `key` that is of another kind, on the same state of the
    // database.
    void take_over(const Version &entry)
    {
        if (entry.type == rocksdb::kTypeMerge) {
            // DBIter would call the missing operator.
            own_status = Status::NotSupported("The value was written with a merge operator");
            valid = false;
            return;
        }
        version->Ref();
        general.reset(db.NewIteratorImpl(options, column(), version, sequence, nullptr));
        entries.DeleteIter(true);
        entries.Set(nullptr);
        if (is_forward)
            general->Seek(key);
        else
            general->SeekForPrev(key);
    }

    DBImpl &db;
    const std::string lower;
    const bool has_upper;
    const std::string upper;
    const Slice lower_bound;
    const Slice upper_bound;
    rocksdb::ReadOptions options;
    // Referenced by the internal iterator or by DBIter.
    rocksdb::SuperVersion *version = nullptr;
    SequenceNumber sequence = 0;
    SequenceNumber memtable_start = 0;
    std::uint32_t scan_trigger = 0;

    // The internal iterator is in the arena. Forward, it is on the current pair. Backward, it is
    // before all versions of the current key.
    rocksdb::Arena arena;
    rocksdb::IteratorWrapper entries;
    bool is_forward = true;
    bool valid = false;
    // Forward: whether there may be older versions of the current pair. Then `key` is its key.
    bool has_older = false;
    // Backward: the current pair.
    std::string key;
    std::string value;
    // The key of the last entry that is newer than the snapshot.
    std::string unseen;
    // The target of the last seek.
    std::string target;
    Status own_status;
    std::unique_ptr<rocksdb::Iterator> general;
};

// How to move. The same numbers are in iterator.rs.
enum Move : int { FIRST, LAST, SEEK, NEXT, PREVIOUS };

struct Pair {
    const char *key;
    std::size_t key_len;
    const char *value;
    std::size_t value_len;
};

} // namespace

extern "C" {

// Creates an iterator. `upper` is null if there is no upper bound.
void *kvds_rocksdb_iterator_new(rocksdb_t *db, std::uint64_t snapshot, const char *lower,
                                std::size_t lower_len, const char *upper, std::size_t upper_len)
{
    const Slice bound(upper, upper_len);
    return new VisiblePairs(static_cast<DBImpl &>(*db->rep), snapshot, Slice(lower, lower_len),
                            upper != nullptr ? &bound : nullptr);
}

void kvds_rocksdb_iterator_free(void *iterator) { delete static_cast<VisiblePairs *>(iterator); }

// Moves, and returns whether the iterator is on a pair. Its bytes are valid until the next move.
bool kvds_rocksdb_iterator_move(void *iterator, int move, const char *key, std::size_t key_len,
                                Pair *pair)
{
    auto &pairs = *static_cast<VisiblePairs *>(iterator);
    switch (static_cast<Move>(move)) {
    case FIRST: pairs.first(); break;
    case LAST: pairs.last(); break;
    case SEEK: pairs.seek(Slice(key, key_len)); break;
    case NEXT: pairs.next(); break;
    case PREVIOUS: pairs.previous(); break;
    }
    Slice found_key;
    Slice found_value;
    if (!pairs.pair(&found_key, &found_value))
        return false;
    *pair = { found_key.data(), found_key.size(), found_value.data(), found_value.size() };
    return true;
}

// Writes why the iterator is on no pair, and returns the length of the text, or 0 for the end.
std::size_t kvds_rocksdb_iterator_error(void *iterator, char *text, std::size_t capacity)
{
    return write_error(static_cast<VisiblePairs *>(iterator)->status(), text, capacity);
}
}
