/*
 * The base of the store classes in include/compat. Not for programs.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef KVDS_COMPAT_KVDS_FRONT_HPP
#define KVDS_COMPAT_KVDS_FRONT_HPP

#include "../../kvds.hpp"

#include <functional>
#include <initializer_list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvds::detail {

/**
 * A kv_c that forwards to a store of the library and returns what the original returns. It is
 * closed while there is no store.
 *
 * Programs derive from the classes that derive from this one. Names that the original does not have
 * begin with `front_`, so that they neither hide nor override names of programs.
 */
class front_c : public kv_c {
public:
    bool is_open() const override { return front_ask(&store_c::is_open); }

    bool get(const std::string &key, std::string &value) override
    {
        return front_ask([&](store_c &store) { return store.get(key, value); });
    }
    bool exists(const std::string &key) const override
    {
        return front_ask([&](store_c &store) { return store.exists(key); });
    }
    void iterate(const std::string &prefix,
                 std::function<bool(const std::string &key, const std::string &value)> callback)
        const override
    {
        front_ask([&](store_c &store) {
            store.iterate(prefix, std::move(callback));
            return true;
        });
    }

    bool set(const std::string &key, const std::string &value) override
    {
        return front_ask([&](store_c &store) { return store.set(key, value); });
    }
    /** Deletes `key`. If it does not exist, returns false in memory and true on disk. */
    bool del(const std::string &key) override
    {
        return front_ask([&](store_c &store) {
            // A batch does not look up whether the key exists, which takes longer than deleting it.
            if (store.backend() == backend::disk)
                return store.delete_batch(std::initializer_list<std::string_view>{ key });
            return store.del(key);
        });
    }
    bool set_batch(const std::map<std::string, std::string> &pairs) override
    {
        return front_ask([&](store_c &store) { return store.set_batch(pairs); });
    }
    bool delete_batch(const std::vector<std::string> &keys) override
    {
        return front_ask([&](store_c &store) { return store.delete_batch(keys); });
    }
    bool set_nx(const std::string &key, const std::string &value) override
    {
        return front_ask([&](store_c &store) { return store.set_nx(key, value); });
    }
    bool compare_and_swap(const std::string &key, const std::string &expected,
                          const std::string &value) override
    {
        return front_ask(
            [&](store_c &store) { return store.compare_and_swap(key, expected, value); });
    }

protected:
    /** Returns a reference that keeps the store during a call; empty if there is no store. */
    virtual shared_obj_c<store_c> front_held() const = 0;

private:
    template <class Question>
    bool front_ask(Question question) const
    {
        const shared_obj_c<store_c> held = front_held();
        return held ? std::invoke(question, *held) : ok(KVDS_CLOSED);
    }
};

/** A front_c that can be opened and closed. Any threads may call all functions at the same time. */
class opened_c : public front_c {
public:
    /**
     * Closes the store after its running calls have ended; see kvds_close(). False if it was
     * closed.
     */
    bool close()
    {
        shared_obj_c<store_c> closing;
        {
            const std::lock_guard<std::mutex> lock(front_mutex_);
            std::swap(closing, front_store_);
        }
        // Without the lock, as callbacks of running calls may call functions of this object.
        return closing ? closing->close() : ok(KVDS_CLOSED);
    }

protected:
    /** Opens the store that `make` returns, unless a store is open already. */
    template <class Make>
    bool front_open(Make make)
    {
        const std::lock_guard<std::mutex> lock(front_mutex_);
        if (front_store_)
            return ok(KVDS_EXISTS);
        const std::optional<shared_obj_c<store_c>> made = make();
        if (!made)
            return false;
        front_store_ = *made;
        return true;
    }

private:
    shared_obj_c<store_c> front_held() const override
    {
        const std::lock_guard<std::mutex> lock(front_mutex_);
        return front_store_;
    }

    mutable std::mutex front_mutex_;
    shared_obj_c<store_c> front_store_;
};

} // namespace kvds::detail

#endif /* KVDS_COMPAT_KVDS_FRONT_HPP */
