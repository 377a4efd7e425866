/*
 * What the stores of the compatible headers have in common. Not for programs.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef KVDS_COMPAT_KVDS_FRONT_HPP
#define KVDS_COMPAT_KVDS_FRONT_HPP

#include "../../kvds.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kvds::detail {

/** A kv_c in front of a store of the library, with the answers of the original. Closed while there is no store. */
class front_c : public kv_c {
public:
    bool is_open() const override { return ask(&store_c::is_open); }

    bool get(const std::string &key, std::string &value) override
    {
        return ask([&](store_c &store) { return store.get(key, value); });
    }
    bool exists(const std::string &key) const override
    {
        return ask([&](store_c &store) { return store.exists(key); });
    }
    void iterate(const std::string &prefix,
                 std::function<bool(const std::string &key, const std::string &value)> callback) const override
    {
        ask([&](store_c &store) {
            store.iterate(prefix, std::move(callback));
            return true;
        });
    }

    bool set(const std::string &key, const std::string &value) override
    {
        return ask([&](store_c &store) { return store.set(key, value); });
    }
    /** Removes a key. If it was not there, the answer is false in memory and true on disk. */
    bool del(const std::string &key) override
    {
        return ask([&](store_c &store) {
            return store.del(key) || (last_status() == status::not_found && store.backend() == backend::disk);
        });
    }
    bool set_batch(const std::map<std::string, std::string> &pairs) override
    {
        return ask([&](store_c &store) { return store.set_batch(pairs); });
    }
    bool delete_batch(const std::vector<std::string> &keys) override
    {
        return ask([&](store_c &store) { return store.delete_batch(keys); });
    }
    bool set_nx(const std::string &key, const std::string &value) override
    {
        return ask([&](store_c &store) { return store.set_nx(key, value); });
    }
    bool compare_and_swap(const std::string &key, const std::string &expected, const std::string &value) override
    {
        return ask([&](store_c &store) { return store.compare_and_swap(key, expected, value); });
    }

protected:
    /** A reference to the store, with which it stays while a call goes on; empty if there is none. */
    virtual shared_obj_c<store_c> store() const = 0;

private:
    template <class Question>
    bool ask(Question question) const
    {
        const shared_obj_c<store_c> held = store();
        return held ? std::invoke(question, *held) : ok(KVDS_CLOSED);
    }
};

/** A front that is closed until it is opened, and can be closed again. Threads: any, all calls at the same time. */
class opened_c : public front_c {
public:
    /** Closes the store: calls that are running end first, except those that this is called in. False if it was closed. */
    bool close()
    {
        shared_obj_c<store_c> closing;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            std::swap(closing, store_);
        }
        // With no lock held, as the calls that end first may have callbacks, and those may call anything here.
        return closing ? closing->close() : ok(KVDS_CLOSED);
    }

protected:
    /** Opens the store that `make` gives, unless one is open or it gives none. */
    template <class Make>
    bool open_with(Make make)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (store_) return ok(KVDS_EXISTS);
        const std::optional<shared_obj_c<store_c>> made = make();
        if (!made) return false;
        store_ = *made;
        return true;
    }

private:
    shared_obj_c<store_c> store() const override
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        return store_;
    }

    mutable std::mutex mutex_;
    shared_obj_c<store_c> store_;
};

} // namespace kvds::detail

#endif /* KVDS_COMPAT_KVDS_FRONT_HPP */
