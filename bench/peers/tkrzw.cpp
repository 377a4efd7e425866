/* TKRZW's BabyDBM: a B+ tree in memory, with its default settings. */

#include "peer.hpp"

#include <memory>
#include <tkrzw_dbm_baby.h>
#include <tkrzw_lib_common.h>

namespace {

std::string_view view(bytes from) { return std::string_view(from.data, from.len); }

bool found(const tkrzw::Status &status)
{
    if (status == tkrzw::Status::SUCCESS)
        return true;
    if (status == tkrzw::Status::NOT_FOUND_ERROR || status == tkrzw::Status::DUPLICATION_ERROR ||
        status == tkrzw::Status::INFEASIBLE_ERROR)
        return false;
    fail(tkrzw::ToString(status));
}

class baby final : public peer {
public:
    bool get(bytes key, bytes &value) override
    {
        std::string &text = read_string();
        if (!found(db.Get(view(key), &text)))
            return false;
        value = as_bytes(text);
        return true;
    }

    bool exists(bytes key) override { return found(db.Get(view(key))); }
    void set(bytes key, bytes value) override { found(db.Set(view(key), view(value))); }
    bool del(bytes key) override { return found(db.Remove(view(key))); }
    bool set_nx(bytes key, bytes value) override
    {
        return found(db.Set(view(key), view(value), false));
    }

    bool compare_and_swap(bytes key, bytes expected, bytes value) override
    {
        return found(db.CompareExchange(view(key), view(expected), view(value)));
    }

    void set_batch(const pair *pairs, std::size_t count) override
    {
        for (std::size_t index = 0; index < count; ++index)
            set(pairs[index].key, pairs[index].value);
    }

    void iterate(bytes prefix, visit show, void *user_data) override
    {
        walk(
            prefix,
            [=](bytes key, bytes value) {
                return begins_with(view(key), prefix) && show(user_data, key, value);
            },
            false);
    }

    void scan(bytes start, std::size_t count, bool backward, visit show, void *user_data) override
    {
        walk(
            start,
            [=, left = count](bytes key, bytes value) mutable {
                show(user_data, key, value);
                return --left > 0;
            },
            backward);
    }

private:
    template <class function>
    void walk(bytes start, function show, bool backward)
    {
        auto at = db.MakeIterator();
        if (backward)
            at->JumpLower(view(start), true);
        else
            at->Jump(view(start));
        std::string key, value;
        while (found(at->Get(&key, &value)) && show(as_bytes(key), as_bytes(value)))
            if (backward)
                at->Previous();
            else
                at->Next();
    }

    tkrzw::BabyDBM db;
};

} // namespace

extern "C" {

peer *open_baby(const char *) { return new baby; }
const char *tkrzw_version() { return tkrzw::PACKAGE_VERSION; }

} // extern "C"
