/*
 * kvds for programs that were written against the original C++ package. Compile them unchanged with
 * include/compat as the first include directory, and link them with kvds. docs/migrating.md lists
 * the differences. New programs include kvds.hpp, which is beside kvds.h.
 *
 * KVDS_COMPAT_SHARED_PTR, defined before the first include of these headers, makes the
 * distributor's references std::shared_ptr<kvds::kv_c>, as they are in the original since late
 * 2025.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "order.hpp"

#if defined(KVDS_COMPAT_PROBE)
#define KVDS_COMPAT_FOUND_KVDS
#elif !defined(KVDS_COMPAT_KVDS_KVDS_HPP)
#define KVDS_COMPAT_KVDS_KVDS_HPP
#ifdef KVDS_COMPAT_SHARED_PTR
#define KVDS_COMPAT_SHARED_PTR_IN_USE
#endif

#include "../types/lifetime.hpp"
#include "../types/shared_obj.hpp"
#include "front.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace kvds {

namespace detail {

/** A store that the distributor keeps: one object for all callers, owned by std::shared_ptr. */
class kept_c final : public front_c, public std::enable_shared_from_this<kept_c> {
public:
    /** Forwards to `store`. */
    explicit kept_c(shared_obj_c<store_c> store) noexcept : front_store_(std::move(store)) {}

    /** Returns the number of references of all kinds, including that of the distributor. */
    std::int64_t refCount() const noexcept { return weak_from_this().use_count(); }

private:
    shared_obj_c<store_c> front_held() const override { return front_store_; }

    const shared_obj_c<store_c> front_store_;
};

} // namespace detail

/**
 * A counted reference to a store that the distributor keeps. It is also a std::shared_ptr and
 * shares its count with those that are created from it: a std::weak_ptr to it expires with the last
 * reference of any kind.
 */
template <>
class shared_obj_c<detail::kept_c> : public std::shared_ptr<detail::kept_c> {
public:
    /** Creates an empty reference. */
    shared_obj_c() noexcept = default;
    /** Takes a reference from a std::shared_ptr. */
    shared_obj_c(std::shared_ptr<detail::kept_c> other) noexcept : shared_ptr(std::move(other)) {}
    /** Adds a reference to a store that has references already; may be NULL. */
    shared_obj_c(detail::kept_c *store) : shared_ptr(store ? store->shared_from_this() : nullptr) {}

    /** Returns the store, or NULL, like get(). */
    detail::kept_c *ptr() const noexcept { return get(); }
    /** Releases the reference. */
    void reset() noexcept { shared_ptr::reset(); }
    /** Replaces the reference by one to `store`. */
    void reset(detail::kept_c *store) { *this = shared_obj_c(store); }
    /** Returns whether there is a store. Converts to bool only, and not on to a number. */
    template <class Bool, class = detail::if_bool<Bool>>
    operator Bool() const noexcept
    {
        return get() != nullptr;
    }
};

/**
 * Returns stores by name, and keeps each until it is destroyed itself: the data of a memory store
 * outlives the program's references to it. References that outlive the distributor keep working.
 * Any threads may call all functions at the same time.
 */
class kv_c_distributor_c {
public:
    /** Where a store keeps its data. */
    enum class kv_c_backend_e {
        MEMORY = 0, /**< In memory. */
        DISK = 1    /**< In a directory under the distributor's path. */
    };

    /**
     * Creates a distributor with disk stores under `path`, which is created with the first of them;
     * "" is the current directory.
     */
    kv_c_distributor_c(const std::string &path) : path_(path.empty() ? "." : path), disk_(path_) {}

    kv_c_distributor_c(const kv_c_distributor_c &) = delete;
    kv_c_distributor_c &operator=(const kv_c_distributor_c &) = delete;

    /**
     * Gets the store `id` on `backend`, or creates it. All threads get the same object, so
     * references and the pointers that get() returns can be compared. Returns an empty optional on
     * an error: last_error() says why.
     *
     * The id of a memory store may be any bytes of any length. The id of a disk store is UTF-8
     * without a zero byte, and not empty; bytes outside `A-Z a-z 0-9 . _ -` are percent-encoded in
     * the name of its directory.
     */
#ifdef KVDS_COMPAT_SHARED_PTR
    // The tag gives this another symbol than the function below, which other files of the program
    // may use. The rest of the class is the same in both, so the files can share distributors.
    [[gnu::abi_tag("shared_ptr")]] std::optional<std::shared_ptr<kv_c>>
    get_or_create_kv_c(const std::string &id, kv_c_backend_e backend)
    {
        return kept(id, backend);
    }
#else
    std::optional<pkg::types::shared_obj_c<detail::kept_c>>
    get_or_create_kv_c(const std::string &id, kv_c_backend_e backend)
    {
        return kept(id, backend);
    }
#endif

private:
    std::optional<std::shared_ptr<detail::kept_c>> kept(const std::string &id,
                                                        kv_c_backend_e backend)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto known = stores_.find({ backend, id });
        if (known != stores_.end())
            return known->second;
        // Memory stores do not need the path. For a disk store, an invalid path fails again here,
        // so that last_error() of this thread says why.
        const bool in_memory = backend == kv_c_backend_e::MEMORY;
        if (!in_memory && !disk_)
            disk_ = distributor_c(path_);
        if (!in_memory && !disk_)
            return std::nullopt;
        const distributor_c &distributor = in_memory ? memory_ : disk_;
        auto store =
            distributor.get_or_create(name_of(id, backend), static_cast<kvds::backend>(backend));
        if (!store)
            return std::nullopt;
        auto kept = std::make_shared<detail::kept_c>(std::move(*store));
        stores_.emplace(std::pair(backend, id), kept);
        return kept;
    }

    /**
     * Returns the id for the library. Ids of memory stores may be any bytes here. One that the
     * library does not accept, such as one with a zero byte, becomes a number after a byte with
     * which no other id begins.
     */
    std::string name_of(const std::string &id, kv_c_backend_e backend) const
    {
        constexpr std::size_t max_len = 64 * 1024;
        constexpr char numbered = '\x01';
        const bool is_taken =
            !id.empty() && id.size() <= max_len && id.find('\0') == std::string::npos;
        if (backend != kv_c_backend_e::MEMORY || (is_taken && id[0] != numbered))
            return id;
        return numbered + std::to_string(stores_.size());
    }

    const std::string path_;
    const distributor_c memory_;
    distributor_c disk_;
    std::mutex mutex_;
    std::map<std::pair<kv_c_backend_e, std::string>, std::shared_ptr<detail::kept_c>> stores_;
};

} // namespace kvds

#elif defined(KVDS_COMPAT_SHARED_PTR) && !defined(KVDS_COMPAT_SHARED_PTR_IN_USE)
#error "define KVDS_COMPAT_SHARED_PTR before the first include of a header of include/compat"
#endif /* KVDS_COMPAT_KVDS_KVDS_HPP */
