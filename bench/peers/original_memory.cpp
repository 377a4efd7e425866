/* The original design in memory: a std::map under one mutex, values copied, iteration under the
 * lock. */

#include "peer.hpp"

#include <functional>
#include <map>
#include <mutex>

namespace {

class memstore final {
public:
    bool get(const std::string &key, std::string &value) const
    {
        std::lock_guard lock(mutex);
        auto found = map.find(key);
        if (found == map.end())
            return false;
        value = found->second;
        return true;
    }

    bool exists(const std::string &key) const
    {
        std::lock_guard lock(mutex);
        return map.find(key) != map.end();
    }

    void
    iterate(const std::string &prefix,
            const std::function<bool(const std::string &key, const std::string &value)> &show) const
    {
        std::lock_guard lock(mutex);
        for (auto at = map.lower_bound(prefix); at != map.end(); ++at)
            if (at->first.compare(0, prefix.size(), prefix) != 0 || !show(at->first, at->second))
                return;
    }

    bool set(const std::string &key, const std::string &value)
    {
        std::lock_guard lock(mutex);
        map[key] = value;
        return true;
    }

    bool del(const std::string &key)
    {
        std::lock_guard lock(mutex);
        return map.erase(key) > 0;
    }

    bool set_nx(const std::string &key, const std::string &value)
    {
        std::lock_guard lock(mutex);
        return map.emplace(key, value).second;
    }

    bool compare_and_swap(const std::string &key, const std::string &expected,
                          const std::string &value)
    {
        std::lock_guard lock(mutex);
        auto found = map.find(key);
        if (found == map.end() || found->second != expected)
            return false;
        found->second = value;
        return true;
    }

    void set_batch(const pair *pairs, std::size_t count)
    {
        std::lock_guard lock(mutex);
        for (std::size_t index = 0; index < count; ++index)
            map[as_string<0>(pairs[index].key)].assign(pairs[index].value.data,
                                                       pairs[index].value.len);
    }

private:
    mutable std::mutex mutex;
    std::map<std::string, std::string> map;
};

class original_memory final : public peer {
public:
    bool get(bytes key, bytes &value) override
    {
        std::string &text = read_string();
        if (!store.get(as_string<0>(key), text))
            return false;
        value = as_bytes(text);
        return true;
    }

    bool exists(bytes key) override { return store.exists(as_string<0>(key)); }
    void set(bytes key, bytes value) override { store.set(as_string<0>(key), as_string<1>(value)); }
    bool del(bytes key) override { return store.del(as_string<0>(key)); }
    bool set_nx(bytes key, bytes value) override
    {
        return store.set_nx(as_string<0>(key), as_string<1>(value));
    }

    bool compare_and_swap(bytes key, bytes expected, bytes value) override
    {
        return store.compare_and_swap(as_string<0>(key), as_string<1>(expected),
                                      as_string<2>(value));
    }

    void set_batch(const pair *pairs, std::size_t count) override { store.set_batch(pairs, count); }

    void iterate(bytes prefix, visit show, void *user_data) override
    {
        store.iterate(as_string<0>(prefix), [=](const std::string &key, const std::string &value) {
            return show(user_data, as_bytes(key), as_bytes(value));
        });
    }

private:
    memstore store;
};

} // namespace

extern "C" peer *open_original_memory(const char *) { return new original_memory; }
