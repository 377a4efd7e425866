/*
 * kvds for C++17 and later: the functions of kvds.h as classes. Nothing else needs to be included.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     kvds::distributor_c distributor("/var/lib/app");
 *     auto users = distributor.get_or_create("users", kvds::backend::disk);
 *     if (!users || !(*users)->set("ada", "1815"))
 *         std::cerr << kvds::last_error() << '\n';
 *     for (auto [name, born] : (*users)->scan("a"))
 *         std::cout << name << ": " << born << '\n';
 *
 * A function here does what kvds.h says of the C function that its comment names. In addition:
 *
 * - Results: `true` or a value is success. `false`, an empty optional or an empty object is an
 *   expected negative result or an error: last_status() says which, and last_error() has the text
 *   of an error. Both belong to the calling thread.
 *
 * - Bytes are std::string or std::string_view, or anything that converts to std::string_view. They
 *   may contain zeros. Where a function returns a std::string_view, its comment says how long it is
 *   valid.
 *
 * - Ownership: every object releases what it holds when it is destroyed. Stores and distributors
 *   are counted references, and copies share the object. Values, options, batches, cursors and
 *   watches can only be moved.
 *
 * - Times are std::chrono::milliseconds. A duration that is finer converts by std::chrono::ceil().
 *
 * - Exceptions: the library throws none. The strings and containers that this header creates can
 *   throw std::bad_alloc. If a callback throws, the iteration stops and the caller gets the
 *   exception. If an observer or a log throws, std::terminate() is called.
 */

#ifndef KVDS_HPP
#define KVDS_HPP

#include "kvds.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace kvds {

/* ------------------------------------------------------------------------------------ constants */

/* Generated from abi/api.json by `cargo xtask declarations`, as far as END. */

/** The result of a call; `kvds_status`. */
enum class status : kvds_status {
    ok = KVDS_OK,                             /**< `KVDS_OK` */
    not_found = KVDS_NOT_FOUND,               /**< `KVDS_NOT_FOUND` */
    exists = KVDS_EXISTS,                     /**< `KVDS_EXISTS` */
    mismatch = KVDS_MISMATCH,                 /**< `KVDS_MISMATCH` */
    stopped = KVDS_STOPPED,                   /**< `KVDS_STOPPED` */
    truncated = KVDS_TRUNCATED,               /**< `KVDS_TRUNCATED` */
    invalid_argument = KVDS_INVALID_ARGUMENT, /**< `KVDS_INVALID_ARGUMENT` */
    closed = KVDS_CLOSED,                     /**< `KVDS_CLOSED` */
    denied = KVDS_DENIED,                     /**< `KVDS_DENIED` */
    locked = KVDS_LOCKED,                     /**< `KVDS_LOCKED` */
    io = KVDS_IO,                             /**< `KVDS_IO` */
    no_space = KVDS_NO_SPACE,                 /**< `KVDS_NO_SPACE` */
    corruption = KVDS_CORRUPTION,             /**< `KVDS_CORRUPTION` */
    no_memory = KVDS_NO_MEMORY,               /**< `KVDS_NO_MEMORY` */
    unsupported = KVDS_UNSUPPORTED,           /**< `KVDS_UNSUPPORTED` */
    busy = KVDS_BUSY,                         /**< `KVDS_BUSY` */
    unknown_outcome = KVDS_UNKNOWN_OUTCOME,   /**< `KVDS_UNKNOWN_OUTCOME` */
    forked = KVDS_FORKED,                     /**< `KVDS_FORKED` */
    internal = KVDS_INTERNAL,                 /**< `KVDS_INTERNAL` */
    expired = KVDS_EXPIRED,                   /**< `KVDS_EXPIRED` */
};

/** What an acknowledged write survives; `kvds_durability`. */
enum class durability : kvds_durability {
    process = KVDS_DURABILITY_PROCESS, /**< `KVDS_DURABILITY_PROCESS` */
    sync = KVDS_DURABILITY_SYNC,       /**< `KVDS_DURABILITY_SYNC` */
    none = KVDS_DURABILITY_NONE,       /**< `KVDS_DURABILITY_NONE` */
};

/** How table files are compressed; `kvds_compression`. */
enum class compression : kvds_compression {
    none = KVDS_COMPRESSION_NONE, /**< `KVDS_COMPRESSION_NONE` */
    lz4 = KVDS_COMPRESSION_LZ4,   /**< `KVDS_COMPRESSION_LZ4` */
    zstd = KVDS_COMPRESSION_ZSTD, /**< `KVDS_COMPRESSION_ZSTD` */
};

/** Where a store keeps its data; `kvds_backend`. */
enum class backend : kvds_backend {
    memory = KVDS_MEMORY,   /**< `KVDS_MEMORY` */
    disk = KVDS_DISK,       /**< `KVDS_DISK` */
    cluster = KVDS_CLUSTER, /**< `KVDS_CLUSTER` */
};

/** How important a log message is; `kvds_log_level`. */
enum class log_level : kvds_log_level {
    error = KVDS_LOG_ERROR, /**< `KVDS_LOG_ERROR` */
    warn = KVDS_LOG_WARN,   /**< `KVDS_LOG_WARN` */
    info = KVDS_LOG_INFO,   /**< `KVDS_LOG_INFO` */
    debug = KVDS_LOG_DEBUG, /**< `KVDS_LOG_DEBUG` */
};

/* END */

/** What a view permits; see store_c::view. */
enum class rights : int {
    read = KVDS_VIEW_READ,                        /**< `KVDS_VIEW_READ` */
    write = KVDS_VIEW_WRITE,                      /**< `KVDS_VIEW_WRITE` */
    read_write = KVDS_VIEW_READ | KVDS_VIEW_WRITE /**< both */
};

/** What a change of a watched range did; see change. */
enum class change_kind : int {
    set = KVDS_CHANGE_SET,                /**< `KVDS_CHANGE_SET` */
    del = KVDS_CHANGE_DELETE,             /**< `KVDS_CHANGE_DELETE` */
    del_range = KVDS_CHANGE_DELETE_RANGE, /**< `KVDS_CHANGE_DELETE_RANGE` */
};

/** What a damage takes away; see damage. */
enum class loss : int {
    none = KVDS_LOSS_NONE,   /**< `KVDS_LOSS_NONE` */
    pairs = KVDS_LOSS_PAIRS, /**< `KVDS_LOSS_PAIRS` */
    ttls = KVDS_LOSS_TTLS,   /**< `KVDS_LOSS_TTLS` */
};

/** The time to live of a key that never expires, and a wait without a limit. */
inline constexpr std::chrono::milliseconds forever = std::chrono::milliseconds::max();

/** Statistics of a store; `kvds_stats`. */
using stats = kvds_stats;

/** What salvage() has saved; `kvds_salvaged`. */
using salvaged = kvds_salvaged;

/* ------------------------------------------------------------------------------------- internal */

/** For this header alone, not for programs. */
namespace detail {

/** Enabled for types that convert to std::string_view: strings, views, literals and others. */
template <class Text>
using if_text = std::enable_if_t<std::is_convertible_v<const Text &, std::string_view>>;

/** Whether views of a container's texts stay valid after the iterator has moved. */
template <class Container, class Element = decltype(*std::begin(std::declval<const Container &>()))>
inline constexpr bool keeps_texts =
    std::is_reference_v<Element> || std::is_trivially_destructible_v<Element>;

/** Enabled for bool alone, so that a conversion to bool does not also convert to numbers. */
template <class Bool>
using if_bool = std::enable_if_t<std::is_same_v<Bool, bool>>;

inline status &last() noexcept
{
    thread_local status last = status::ok;
    return last;
}

inline status keep(kvds_status result) noexcept { return last() = static_cast<status>(result); }

inline bool ok(kvds_status result) noexcept { return keep(result) == status::ok; }

/** The time left that a function got, if it found the key. */
inline std::optional<std::chrono::milliseconds> time_left(kvds_status result, std::int64_t ms)
{
    if (!ok(result))
        return std::nullopt;
    return ms < 0 ? forever : std::chrono::milliseconds(ms);
}

inline kvds_bytes bytes(std::string_view text) noexcept { return { text.data(), text.size() }; }

/**
 * Text for C. Text with a zero, at which C would cut it off, becomes text that is not UTF-8, which
 * every function refuses.
 */
inline const char *c_str(const std::string &text) noexcept
{
    return text.find('\0') == std::string::npos ? text.c_str() : "\xff";
}

/**
 * An id for C. Ids may be any bytes, so one with a zero becomes empty, which every function
 * refuses.
 */
inline const char *id_str(const std::string &id) noexcept
{
    return id.find('\0') == std::string::npos ? id.c_str() : "";
}

inline std::string_view text(const void *data, std::size_t len) noexcept
{
    return { static_cast<const char *>(data), len };
}

inline std::string_view text(const kvds_bytes &bytes) noexcept
{
    return text(bytes.data, bytes.len);
}

/** A time to live for C. One below 0 becomes one that is too long, which every function refuses. */
inline std::uint64_t ttl_ms(std::chrono::milliseconds ttl) noexcept
{
    return static_cast<std::uint64_t>(ttl.count());
}

/** A time to live for C, where 0 is no limit. */
inline std::uint64_t optional_ttl_ms(std::chrono::milliseconds ttl) noexcept
{
    return ttl == forever ? 0 : ttl_ms(ttl);
}

/** A timeout for C, where -1 is no limit. A deadline that has passed leaves less than 0. */
inline std::int64_t timeout_ms(std::chrono::milliseconds timeout) noexcept
{
    return timeout == forever ? -1 : timeout.count() < 0 ? 0 : timeout.count();
}

/** Copies `from` to `to`. Faster than assign() if the lengths are equal. */
inline void copy(std::string_view from, std::string &to)
{
    to.resize(from.size());
    from.copy(to.data(), from.size());
}

/** Calls a callback from C. An exception stops the iteration and is kept, as it must not pass C. */
template <class Callback>
class relay_c {
public:
    explicit relay_c(Callback &callback) noexcept : callback_(callback) {}

    template <class... Arguments>
    int call(Arguments &&...arguments) noexcept
    {
#if defined(__cpp_exceptions)
        try {
            return callback_(std::forward<Arguments>(arguments)...) ? 1 : 0;
        } catch (...) {
            thrown_ = std::current_exception();
            return 0;
        }
#else
        return callback_(std::forward<Arguments>(arguments)...) ? 1 : 0;
#endif
    }

    /** Ends the iteration, which returned `result`: rethrows what the callback threw. */
    bool end(kvds_status result)
    {
        const status ended = keep(result);
#if defined(__cpp_exceptions)
        if (thrown_)
            std::rethrow_exception(thrown_);
#endif
        return ended == status::ok || ended == status::stopped;
    }

private:
    Callback &callback_;
    std::exception_ptr thrown_;
};

/** Frees a handle of the C interface. */
template <class Handle, void (*release)(Handle *)>
struct release_with {
    void operator()(Handle *handle) const noexcept { release(handle); }
};

template <class Handle, void (*release)(Handle *)>
using owner = std::unique_ptr<Handle, release_with<Handle, release>>;

} // namespace detail

/* --------------------------------------------------------------------------- version and status */

/** Returns the version of the library that is running; `kvds_version`. */
inline const char *version() noexcept { return kvds_version(); }

/** Returns the name of a status, such as "KVDS_NOT_FOUND"; `kvds_status_name`. */
inline const char *to_string(status status) noexcept
{
    return kvds_status_name(static_cast<kvds_status>(status));
}

/** Returns the status of this thread's last call through this header. */
inline status last_status() noexcept { return detail::last(); }

/** Returns the text of this thread's last error, valid until its next one; `kvds_last_error`. */
inline const char *last_error() noexcept { return kvds_last_error(); }

/* --------------------------------------------------------------------- references and lifetimes */

/** A base with a reference count, for classes that shared_obj_c holds. Any thread may use it. */
class shared_c {
public:
    /** Starts with a count of 0. */
    shared_c() noexcept = default;
    virtual ~shared_c() = default;
    shared_c(const shared_c &) = delete;
    shared_c &operator=(const shared_c &) = delete;

    /** Adds a reference. */
    const shared_c *acquire() const noexcept
    {
        references_.fetch_add(1, std::memory_order_relaxed);
        return this;
    }

    /** Removes a reference and returns how many are left. At 0 the caller deletes the object. */
    std::int64_t release() const noexcept
    {
        return references_.fetch_sub(1, std::memory_order_acq_rel) - 1;
    }

    /** Returns the number of references; other threads may change it at any time. */
    std::int64_t refCount() const noexcept { return references_.load(std::memory_order_relaxed); }

private:
    mutable std::atomic<std::int64_t> references_{ 0 };
};

/**
 * A counted reference to an object that has a counter (acquire, release, refCount). It has the size
 * of a pointer, and the last reference deletes the object. References to one object may be used by
 * any threads, and one reference by one thread at a time.
 */
template <class T>
class shared_obj_c {
public:
    /** The class of the object. */
    using element_type = T;

    /** Creates an empty reference. */
    shared_obj_c() noexcept = default;

    /** Adds a reference to an object that was created with `new`. */
    shared_obj_c(T *object) noexcept : object_(object)
    {
        if (object_)
            object_->acquire();
    }

    /** Adds a reference to the object of `other`. */
    shared_obj_c(const shared_obj_c &other) noexcept : shared_obj_c(other.object_) {}

    /** Moves the reference out of `other`. */
    shared_obj_c(shared_obj_c &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}

    /** Replaces the reference by that of `other`. */
    shared_obj_c &operator=(shared_obj_c other) noexcept
    {
        std::swap(object_, other.object_);
        return *this;
    }

    ~shared_obj_c()
    {
        if (object_ && object_->release() == 0)
            delete object_;
    }

    /** Returns the object; undefined for an empty reference. */
    T &operator*() const noexcept { return *object_; }

    /** Returns the object; undefined for an empty reference. */
    T *operator->() const noexcept { return object_; }

    /** Returns the object, or NULL. It is valid as long as a reference to it. */
    T *get() const noexcept { return object_; }

    /** Returns the object, or NULL, like get(). */
    T *ptr() const noexcept { return object_; }

    /** Releases the reference. */
    void reset() noexcept { shared_obj_c().swap(*this); }

    /** Replaces the reference by one to `object`. */
    void reset(T *object) noexcept { shared_obj_c(object).swap(*this); }

    /** Swaps two references. */
    void swap(shared_obj_c &other) noexcept { std::swap(object_, other.object_); }

    /** Swaps two references. */
    friend void swap(shared_obj_c &a, shared_obj_c &b) noexcept { a.swap(b); }

    /** Returns the number of references to the object; 0 without an object. */
    long use_count() const noexcept { return object_ ? static_cast<long>(object_->refCount()) : 0; }

    /** Returns whether there is an object. Converts to bool only, and not on to a number. */
    template <class Bool, class = detail::if_bool<Bool>>
    operator Bool() const noexcept
    {
        return object_ != nullptr;
    }

    /** Returns whether both refer to the same object. */
    bool operator==(const shared_obj_c &other) const noexcept { return object_ == other.object_; }

    /** Returns whether they refer to different objects. */
    bool operator!=(const shared_obj_c &other) const noexcept { return object_ != other.object_; }

    /** Compares addresses, for containers. */
    bool operator<(const shared_obj_c &other) const noexcept
    {
        return std::less<T *>()(object_, other.object_);
    }

    /** Compares addresses, for containers. */
    bool operator>(const shared_obj_c &other) const noexcept { return other < *this; }

    /** Compares addresses, for containers. */
    bool operator<=(const shared_obj_c &other) const noexcept { return !(other < *this); }

    /** Compares addresses, for containers. */
    bool operator>=(const shared_obj_c &other) const noexcept { return !(*this < other); }

    /** Compares the addresses of the objects. */
    bool owner_before(const shared_obj_c &other) const noexcept { return *this < other; }

    /** Returns whether both refer to the same object. */
    template <class U>
    friend bool operator==(const shared_obj_c &a, const std::shared_ptr<U> &b) noexcept
    {
        return a.object_ == b.get();
    }

    /** Returns whether both refer to the same object. */
    template <class U>
    friend bool operator==(const std::shared_ptr<U> &a, const shared_obj_c &b) noexcept
    {
        return b == a;
    }

    /** Returns whether they refer to different objects. */
    template <class U>
    friend bool operator!=(const shared_obj_c &a, const std::shared_ptr<U> &b) noexcept
    {
        return !(a == b);
    }

    /** Returns whether they refer to different objects. */
    template <class U>
    friend bool operator!=(const std::shared_ptr<U> &a, const shared_obj_c &b) noexcept
    {
        return !(b == a);
    }

    /**
     * Converts to a std::shared_ptr that holds one reference. Each conversion creates an owner of
     * its own: a std::weak_ptr to it expires with that owner, not with the object.
     */
    template <class Base, class = std::enable_if_t<std::is_convertible_v<T *, Base *>>>
    operator std::shared_ptr<Base>() const
    {
        if (!object_)
            return nullptr;
        return std::shared_ptr<Base>(std::make_shared<shared_obj_c>(*this), object_);
    }

private:
    T *object_ = nullptr;
};

/** Creates an object and a reference to it. Only for classes that derive from shared_c. */
template <class T, class... Arguments, class = std::enable_if_t<std::is_base_of_v<shared_c, T>>>
shared_obj_c<T> make_shared(Arguments &&...arguments)
{
    return shared_obj_c<T>(new T(std::forward<Arguments>(arguments)...));
}

/**
 * Calls an observer when it is destroyed. A copy calls it too, at its own end. The observer must
 * outlive it.
 */
class lifetime_c {
public:
    /** The interface of observers. */
    class observer_if {
    public:
        virtual ~observer_if() = default;
        /** Called at the end of a lifetime. */
        virtual void death_ind() = 0;
    };

    /** Begins a lifetime that `observer` observes. */
    constexpr lifetime_c(observer_if &observer) noexcept : observer_(observer) {}
    /** Begins another lifetime with the same observer. */
    lifetime_c(const lifetime_c &) = default;
    ~lifetime_c() { observer_.death_ind(); }

private:
    observer_if &observer_;
};

/** Like lifetime_c, with a number that tells lifetimes with one observer apart. */
class lifetime_tagged_c {
public:
    /** The interface of observers. */
    class observer_if {
    public:
        virtual ~observer_if() = default;
        /** Called at the end of the lifetime with this tag. */
        virtual void death_ind(const std::size_t tag) = 0;
    };

    /** Begins a lifetime that `observer` observes. */
    constexpr lifetime_tagged_c(observer_if &observer, const std::size_t tag) noexcept
        : observer_(observer), tag_(tag)
    {}
    /** Begins another lifetime with the same observer and tag. */
    lifetime_tagged_c(const lifetime_tagged_c &) = default;
    ~lifetime_tagged_c() { observer_.death_ind(tag_); }

private:
    observer_if &observer_;
    const std::size_t tag_;
};

/* ----------------------------------------------------------------------------------- interfaces */

/** The state of a store. */
class kv_stat {
public:
    virtual ~kv_stat() = default;
    /** Returns whether the store can be used. */
    virtual bool is_open() const = 0;
};

/** The functions that read a store. */
class kv_reader_c {
public:
    virtual ~kv_reader_c() = default;
    /** Copies the value of `key` to `value`; false, and `value` unchanged, if there is none. */
    virtual bool get(const std::string &key, std::string &value) = 0;
    /** Returns whether `key` exists. */
    virtual bool exists(const std::string &key) const = 0;
    /**
     * Calls `callback` for each pair whose key begins with `prefix`, in order and from one
     * snapshot, until it returns false.
     */
    virtual void iterate(
        const std::string &prefix,
        std::function<bool(const std::string &key, const std::string &value)> callback) const = 0;
};

/** The functions that write a store. */
class kv_writer_c {
public:
    virtual ~kv_writer_c() = default;
    /** Sets `key` to `value`, whether or not the key exists. */
    virtual bool set(const std::string &key, const std::string &value) = 0;
    /** Deletes `key`; false if it does not exist. */
    virtual bool del(const std::string &key) = 0;
    /** Sets all keys in one atomic step. */
    virtual bool set_batch(const std::map<std::string, std::string> &pairs) = 0;
    /** Deletes all keys in one atomic step. They need not exist. */
    virtual bool delete_batch(const std::vector<std::string> &keys) = 0;
    /** Sets `key` to `value` if the key does not exist. */
    virtual bool set_nx(const std::string &key, const std::string &value) = 0;
    /** Sets `key` to `value` if its value is `expected`. */
    virtual bool compare_and_swap(const std::string &key, const std::string &expected,
                                  const std::string &value) = 0;
};

/** The interface of stores. Programs can derive stores of their own from it. */
class kv_c : public kv_reader_c, public kv_writer_c, public kv_stat {};

/* --------------------------------------------------------------------- values, batches, cursors */

/** A value that a store returned, valid whatever happens to the store; `kvds_value`. */
class value_c {
public:
    /** Creates an empty value. */
    value_c() noexcept = default;
    /** Takes ownership of a value that a function of kvds.h returned. */
    explicit value_c(const kvds_value &value) noexcept : value_(value) {}
    /** Moves the bytes out of `other`. */
    value_c(value_c &&other) noexcept : value_(std::exchange(other.value_, kvds_value{})) {}
    /** Releases the bytes and moves those of `other` here. */
    value_c &operator=(value_c &&other) noexcept
    {
        value_c taken(std::move(other));
        std::swap(value_, taken.value_);
        return *this;
    }
    /** Releases the bytes; `kvds_value_release`. */
    ~value_c() { kvds_value_release(&value_); }

    /** Returns the bytes, valid as long as this object. */
    std::string_view view() const noexcept { return detail::text(value_.data, value_.len); }
    /** Returns the bytes, valid as long as this object. */
    operator std::string_view() const noexcept { return view(); }
    /** Returns a copy of the bytes. */
    std::string str() const { return std::string(view()); }
    /** Returns the number of bytes. */
    std::size_t size() const noexcept { return value_.len; }

private:
    kvds_value value_{};
};

/** A batch of operations and expectations for store_c::write; `kvds_batch`. */
class batch_c {
public:
    /** Creates an empty batch; `kvds_batch_new`. The destructor frees it; `kvds_batch_free`. */
    batch_c() : batch_(kvds_batch_new()) {}

    /** Adds an operation that sets `key` to `value`; `kvds_batch_set`. */
    bool set(std::string_view key, std::string_view value)
    {
        return detail::ok(
            kvds_batch_set(handle(), key.data(), key.size(), value.data(), value.size()));
    }
    /** Adds an operation that deletes `key`; `kvds_batch_del`. */
    bool del(std::string_view key)
    {
        return detail::ok(kvds_batch_del(handle(), key.data(), key.size()));
    }
    /** Adds an operation that sets `key` to `value` for a time; `kvds_batch_set_ttl`. */
    bool set_ttl(std::string_view key, std::string_view value, std::chrono::milliseconds ttl)
    {
        return detail::ok(kvds_batch_set_ttl(handle(), key.data(), key.size(), value.data(),
                                             value.size(), detail::ttl_ms(ttl)));
    }
    /** Adds an operation that replaces the time that `key` has left; `kvds_batch_expire`. */
    bool expire(std::string_view key, std::chrono::milliseconds ttl)
    {
        return detail::ok(
            kvds_batch_expire(handle(), key.data(), key.size(), detail::optional_ttl_ms(ttl)));
    }
    /** Adds the expectation that the value of `key` is `value`; `kvds_batch_expect`. */
    bool expect(std::string_view key, std::string_view value)
    {
        return detail::ok(
            kvds_batch_expect(handle(), key.data(), key.size(), value.data(), value.size()));
    }
    /** Adds the expectation that `key` does not exist; `kvds_batch_expect_absent`. */
    bool expect_absent(std::string_view key)
    {
        return detail::ok(kvds_batch_expect_absent(handle(), key.data(), key.size()));
    }
    /** Removes everything from the batch; `kvds_batch_clear`. */
    void clear() noexcept { kvds_batch_clear(handle()); }
    /** Returns the number of operations; `kvds_batch_count`. */
    std::size_t count() const noexcept { return kvds_batch_count(handle()); }
    /** Returns the handle for functions of kvds.h. This object still owns it. */
    kvds_batch *handle() const noexcept { return batch_.get(); }

private:
    detail::owner<kvds_batch, kvds_batch_free> batch_;
};

/** The keys that begin with `prefix`, are not less than `start`, and are less than `end`. */
struct range {
    std::string_view prefix{}; /**< What all keys begin with; empty for no prefix. */
    std::string_view start{};  /**< Lower bound, inclusive; empty for none. */
    std::string_view end{};    /**< Upper bound, exclusive; empty for none. */
};

/** A cursor over a range of keys, in one snapshot; `kvds_cursor`. See store_c::cursor. */
class cursor_c {
public:
    /** Takes ownership of a cursor. The destructor frees it; `kvds_cursor_free`. */
    explicit cursor_c(kvds_cursor *cursor) noexcept : cursor_(cursor) {}

    /** Moves to the first entry; `kvds_cursor_first`. */
    bool first() { return detail::ok(kvds_cursor_first(handle())); }
    /** Moves to the last entry; `kvds_cursor_last`. */
    bool last() { return detail::ok(kvds_cursor_last(handle())); }
    /** Moves to the next entry; `kvds_cursor_next`. */
    bool next() { return detail::ok(kvds_cursor_next(handle())); }
    /** Moves to the previous entry; `kvds_cursor_prev`. */
    bool prev() { return detail::ok(kvds_cursor_prev(handle())); }
    /** Moves to the first entry whose key is `key` or greater; `kvds_cursor_seek`. */
    bool seek(std::string_view key)
    {
        return detail::ok(kvds_cursor_seek(handle(), key.data(), key.size()));
    }
    /** Returns whether the cursor is on an entry; `kvds_cursor_valid`. */
    bool valid() const noexcept { return kvds_cursor_valid(handle()) == 1; }

    /** Returns the key, valid until the next move; empty on no entry; `kvds_cursor_key`. */
    std::string_view key() const
    {
        kvds_bytes key{};
        detail::keep(kvds_cursor_key(handle(), &key));
        return detail::text(key);
    }
    /** Returns the value, valid until the next move; empty on no entry; `kvds_cursor_value`. */
    std::string_view value() const
    {
        kvds_bytes value{};
        detail::keep(kvds_cursor_value(handle(), &value));
        return detail::text(value);
    }
    /**
     * Returns the time that the entry has left, or `forever`; nothing on no entry;
     * `kvds_cursor_ttl`.
     */
    std::optional<std::chrono::milliseconds> ttl() const
    {
        std::int64_t left = 0;
        const kvds_status result = kvds_cursor_ttl(handle(), &left);
        return detail::time_left(result, left);
    }
    /** Returns the handle for functions of kvds.h. This object still owns it. */
    kvds_cursor *handle() const noexcept { return cursor_.get(); }

private:
    detail::owner<kvds_cursor, kvds_cursor_free> cursor_;
};

/**
 * The pairs of a range of keys in order, from one snapshot, for loops such as
 * `for (auto [key, value] : store->scan("user:"))`. A key and its value are valid until the next
 * iteration of the loop. When the loop has ended by itself, last_status() is `not_found` if it
 * visited all pairs; otherwise it is the error.
 */
class scan_c {
public:
    /** Scans the range of the cursor. */
    explicit scan_c(cursor_c cursor) noexcept : cursor_(std::move(cursor)) {}

    /** An input iterator. All iterators of a scan share one position. */
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;                /**< Single pass. */
        using value_type = std::pair<std::string_view, std::string_view>; /**< Key and value. */
        using reference = value_type;                                     /**< Key and value. */
        using pointer = void;                   /**< Elements have no address. */
        using difference_type = std::ptrdiff_t; /**< Required of iterators. */

        /** Creates the end iterator. */
        iterator() noexcept = default;
        /** Creates an iterator at the position of the cursor. */
        explicit iterator(cursor_c &cursor) noexcept : cursor_(cursor.valid() ? &cursor : nullptr)
        {}
        /** Returns key and value, valid until the iterator moves. */
        value_type operator*() const { return { cursor_->key(), cursor_->value() }; }
        /** Moves to the next pair. */
        iterator &operator++()
        {
            if (!cursor_->next())
                cursor_ = nullptr;
            return *this;
        }
        /** Moves to the next pair. */
        void operator++(int) { ++*this; }
        /** Returns whether both or neither are at the end. */
        bool operator==(const iterator &other) const noexcept { return cursor_ == other.cursor_; }
        /** Returns whether only one of them is at the end. */
        bool operator!=(const iterator &other) const noexcept { return cursor_ != other.cursor_; }

    private:
        cursor_c *cursor_ = nullptr;
    };

    /** Returns an iterator at the first pair. May be called again. */
    iterator begin()
    {
        // Without a cursor, last_status() is the error of creating it.
        if (cursor_.handle() == nullptr || !cursor_.first())
            return end();
        return iterator(cursor_);
    }
    /** Returns the end iterator. */
    iterator end() const noexcept { return {}; }

private:
    cursor_c cursor_;
};

/** A change of a watched range; `kvds_change`. */
struct change {
    change_kind kind = change_kind::set; /**< What the change did. */
    bool last = false;                   /**< Whether it is the last change of its write. */
    std::uint64_t sequence = 0;          /**< The number of the write; later ones are larger. */
    std::string_view key{};              /**< The key, or the first key of a range. */
    std::string_view value{};            /**< The value, or the end of a range; empty for none. */
};

/**
 * The writes to a range of keys in their order; `kvds_watch`. See store_c::watch. False as a bool
 * if it could not be created.
 *
 * It is a range for loops such as `for (const auto &change : store->watch("user:"))`, which wait
 * for each change. A change is valid until the next iteration of the loop. The loop ends when there
 * cannot be a change, and last_status() says why: `closed`; or `expired` after changes were missed,
 * and then another loop over the same watch continues. A program that must not wait calls next().
 */
class watch_c {
public:
    /** Takes ownership of a watch. The destructor frees it; `kvds_watch_free`. */
    explicit watch_c(kvds_watch *watch) noexcept : watch_(watch) {}

    /** Returns whether there is a watch. */
    explicit operator bool() const noexcept { return watch_ != nullptr; }

    /**
     * Waits for the next change, which is valid until the next call; `kvds_watch_next`. Returns no
     * change at once if `timeout` is 0 or less and there is none (`not_found`).
     */
    std::optional<change> next(std::chrono::milliseconds timeout = forever)
    {
        if (!advance(timeout))
            return std::nullopt;
        return change_;
    }
    /** Returns a descriptor for poll(), which the watch owns; -1 on an error; `kvds_watch_fd`. */
    int fd() { return kvds_watch_fd(handle()); }
    /** Returns the handle for functions of kvds.h. This object still owns it. */
    kvds_watch *handle() const noexcept { return watch_.get(); }

    /** An input iterator. All iterators of a watch share one position. */
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag; /**< Single pass. */
        using value_type = change;                         /**< A change. */
        using reference = const change &;                  /**< A change of the watch. */
        using pointer = const change *;                    /**< A change of the watch. */
        using difference_type = std::ptrdiff_t;            /**< Required of iterators. */

        /** Creates the end iterator. */
        iterator() noexcept = default;
        /** Waits for the next change of `watch`; the end iterator if there cannot be one. */
        explicit iterator(watch_c &watch) : watch_(&watch) { ++*this; }
        /** Returns the change, valid until the iterator moves. */
        reference operator*() const noexcept { return watch_->change_; }
        /** Returns the change, valid until the iterator moves. */
        pointer operator->() const noexcept { return &watch_->change_; }
        /** Waits for the next change. */
        iterator &operator++()
        {
            if (!watch_->advance(forever))
                watch_ = nullptr;
            return *this;
        }
        /** Waits for the next change. */
        void operator++(int) { ++*this; }
        /** Returns whether both or neither are at the end. */
        bool operator==(const iterator &other) const noexcept { return watch_ == other.watch_; }
        /** Returns whether only one of them is at the end. */
        bool operator!=(const iterator &other) const noexcept { return watch_ != other.watch_; }

    private:
        watch_c *watch_ = nullptr;
    };

    /** Waits for a change and returns an iterator at it. A later call continues. */
    iterator begin()
    {
        // Without a watch, last_status() is the error of creating it.
        return *this ? iterator(*this) : end();
    }
    /** Returns the end iterator. */
    iterator end() const noexcept { return {}; }

private:
    bool advance(std::chrono::milliseconds timeout)
    {
        kvds_change next{};
        const bool found =
            detail::ok(kvds_watch_next(handle(), detail::timeout_ms(timeout), &next));
        change_ = { static_cast<change_kind>(next.kind), next.last != 0, next.sequence,
                    detail::text(next.key, next.key_len),
                    detail::text(next.value, next.value_len) };
        return found;
    }

    detail::owner<kvds_watch, kvds_watch_free> watch_;
    change change_;
};

/* --------------------------------------------------------------------------------------- stores */

class options_c;
class store_c;

template <>
class shared_obj_c<store_c>;

/**
 * A store, or a view of one; `kvds_store`. Programs hold it by shared_obj_c<store_c>. Any threads
 * may call all functions at the same time. The functions of kv_c take std::string; each has an
 * overload for types that convert to std::string_view. A const store can only be read.
 */
class store_c final : public kv_c {
public:
    store_c(const store_c &) = delete;
    store_c &operator=(const store_c &) = delete;

    /** Opens the disk store in exactly the directory `path`; `kvds_store_open`. */
    static std::optional<shared_obj_c<store_c>> open(const std::string &path);
    /** Opens the disk store in exactly the directory `path`, with options; `kvds_store_open`. */
    static std::optional<shared_obj_c<store_c>> open(const std::string &path,
                                                     const options_c &options);

    /* ---- identity and references */

    /** Adds a reference; `kvds_store_retain`. */
    const store_c *acquire() const noexcept
    {
        kvds_store_retain(handle_);
        return this;
    }
    /** Releases a reference and returns how many are left; `kvds_store_release`. */
    std::int64_t release() const noexcept { return kvds_store_release(handle_); }
    /** Returns the number of references; `kvds_store_ref_count`. */
    std::int64_t refCount() const noexcept { return kvds_store_ref_count(handle_); }
    /** Returns the tag, which is unique in the distributor; `kvds_store_tag`. */
    std::uint64_t tag() const noexcept { return kvds_store_tag(handle_); }
    /** Returns the id, valid as long as a reference; `kvds_store_id`. */
    const char *id() const noexcept { return kvds_store_id(handle_); }
    /** Returns the backend; `kvds_store_backend`. */
    kvds::backend backend() const noexcept
    {
        return static_cast<kvds::backend>(kvds_store_backend(handle_));
    }
    /** Returns the handle for functions of kvds.h. The reference still owns it. */
    kvds_store *handle() const noexcept { return handle_; }
    /** Returns kvds::last_status(). */
    static status last_status() noexcept { return kvds::last_status(); }

    /** Returns whether the store can be used; `kvds_is_open`. */
    bool is_open() const override { return kvds_is_open(handle_) == 1; }
    /** Closes the store for every holder; `kvds_close`. */
    bool close() { return detail::ok(kvds_close(handle_)); }

    /* ---- reading */

    /** `kvds_get` */
    bool get(const std::string &key, std::string &value) override
    {
        return get(std::string_view(key), value);
    }
    /** Copies the value of `key` to `value`, which is unchanged if there is none; `kvds_get`. */
    template <class Key, class = detail::if_text<Key>>
    bool get(const Key &key, std::string &value)
    {
        return std::as_const(*this).get(key, value);
    }
    /** Copies the value of `key` to `value`, which is unchanged if there is none; `kvds_get`. */
    template <class Key, class = detail::if_text<Key>>
    bool get(const Key &key, std::string &value) const
    {
        const auto found = get_value(key);
        if (!found)
            return false;
        value.assign(found->view());
        return true;
    }
    /** Returns a copy of the value of `key`; `kvds_get`. */
    std::optional<std::string> get(std::string_view key) const
    {
        const auto found = get_value(key);
        if (!found)
            return std::nullopt;
        return found->str();
    }
    /** Returns the value of `key`, without a copy if that costs less; `kvds_get`. */
    std::optional<value_c> get_value(std::string_view key) const
    {
        kvds_value value{};
        if (!detail::ok(kvds_get(handle_, key.data(), key.size(), &value)))
            return std::nullopt;
        return value_c(value);
    }
    /** Copies the value of `key` to `buffer` if it fits, and sets `len`; `kvds_get_into`. */
    bool get_into(std::string_view key, void *buffer, std::size_t capacity, std::size_t &len) const
    {
        return detail::ok(kvds_get_into(handle_, key.data(), key.size(), buffer, capacity, &len));
    }

    /** `kvds_exists` */
    bool exists(const std::string &key) const override { return exists(std::string_view(key)); }
    /** Returns whether `key` exists; `kvds_exists`. */
    template <class Key, class = detail::if_text<Key>>
    bool exists(const Key &key) const
    {
        const std::string_view k = key;
        return detail::ok(kvds_exists(handle_, k.data(), k.size()));
    }

    /** Returns the values of a container of keys, in order, from one snapshot; `kvds_multi_get`. */
    template <class Keys>
    std::optional<std::vector<std::optional<value_c>>> multi_get(const Keys &keys) const
    {
        std::vector<kvds_bytes> wanted = bytes_of(keys);
        std::vector<std::optional<value_c>> found(wanted.size());
        std::vector<kvds_value> values(wanted.size());
        std::vector<kvds_status> statuses(wanted.size());
        if (!detail::ok(kvds_multi_get(handle_, wanted.data(), wanted.size(), values.data(),
                                       statuses.data())))
            return std::nullopt;
        for (std::size_t i = 0; i < found.size(); i++)
            if (statuses[i] == KVDS_OK)
                found[i].emplace(values[i]);
        return found;
    }
    /** Returns the values of the keys in braces; `kvds_multi_get`. */
    std::optional<std::vector<std::optional<value_c>>>
    multi_get(std::initializer_list<std::string_view> keys) const
    {
        return multi_get<std::initializer_list<std::string_view>>(keys);
    }

    /** `kvds_iterate` */
    void iterate(const std::string &prefix,
                 std::function<bool(const std::string &key, const std::string &value)> callback)
        const override
    {
        std::string key_string, value_string;
        iterate(std::string_view(prefix), [&](std::string_view key, std::string_view value) {
            detail::copy(key, key_string);
            detail::copy(value, value_string);
            return callback(key_string, value_string);
        });
    }
    /**
     * Calls `callback` for each pair whose key begins with `prefix`; `kvds_iterate`. It gets two
     * std::string_view that are valid during the call, and returns whether to continue. Returns
     * true if all pairs were visited or the callback stopped (`stopped`).
     */
    template <class Prefix, class Callback, class = detail::if_text<Prefix>,
              class = std::enable_if_t<
                  std::is_invocable_r_v<bool, Callback &, std::string_view, std::string_view>>>
    bool iterate(const Prefix &prefix, Callback &&callback) const
    {
        using relay = detail::relay_c<std::remove_reference_t<Callback>>;
        const std::string_view p = prefix;
        relay called(callback);
        const auto visit = [](void *relayed, const void *key, std::size_t key_len,
                              const void *value, std::size_t value_len) noexcept {
            return static_cast<relay *>(relayed)->call(detail::text(key, key_len),
                                                       detail::text(value, value_len));
        };
        return called.end(kvds_iterate(handle_, p.data(), p.size(), visit, &called));
    }

    /** Creates a cursor over a range of keys, as of now, on no entry yet; `kvds_cursor_new`. */
    std::optional<cursor_c> cursor(const range &range = {}) const
    {
        cursor_c made = new_cursor(range);
        if (made.handle() == nullptr)
            return std::nullopt;
        return made;
    }
    /** Returns the pairs of a range of keys, as of now, for a loop; `kvds_cursor_new`. */
    scan_c scan(const range &range) const { return scan_c(new_cursor(range)); }
    /** Returns the pairs whose key begins with `prefix`, for a loop; `kvds_cursor_new`. */
    template <class Prefix, class = detail::if_text<Prefix>>
    scan_c scan(const Prefix &prefix) const
    {
        return scan(range{ prefix, {}, {} });
    }
    /** Returns all pairs, as of now, for a loop; `kvds_cursor_new`. */
    scan_c scan() const { return scan(range{}); }

    /**
     * Returns the time that `key` has left; `kvds_ttl`. It is 0 if the key is about to be deleted,
     * and `forever` if it never expires.
     */
    std::optional<std::chrono::milliseconds> ttl(std::string_view key) const
    {
        std::int64_t left = 0;
        const kvds_status result = kvds_ttl(handle_, key.data(), key.size(), &left);
        return detail::time_left(result, left);
    }

    /* ---- watching */

    /** Returns the changes of a range of keys from now on; `kvds_watch_new`. */
    watch_c watch(const range &range) const
    {
        const kvds_range wanted = c_range(range);
        kvds_watch *watch = nullptr;
        detail::keep(kvds_watch_new(handle_, &wanted, &watch));
        return watch_c(watch);
    }
    /** Returns the changes of keys that begin with `prefix` from now on; `kvds_watch_new`. */
    template <class Prefix, class = detail::if_text<Prefix>>
    watch_c watch(const Prefix &prefix) const
    {
        return watch(range{ prefix, {}, {} });
    }
    /** Returns all changes from now on; `kvds_watch_new`. */
    watch_c watch() const { return watch(range{}); }
    /** Returns the changes after the write `sequence` of an earlier watch; `kvds_watch_from`. */
    watch_c watch_from(std::uint64_t sequence, const range &range = {}) const
    {
        const kvds_range wanted = c_range(range);
        kvds_watch *watch = nullptr;
        detail::keep(kvds_watch_from(handle_, &wanted, sequence, &watch));
        return watch_c(watch);
    }

    /* ---- writing */

    /** `kvds_set` */
    bool set(const std::string &key, const std::string &value) override
    {
        return set(std::string_view(key), std::string_view(value));
    }
    /** Sets `key` to `value`, whether or not the key exists; `kvds_set`. */
    template <class Key, class Value, class = detail::if_text<Key>, class = detail::if_text<Value>>
    bool set(const Key &key, const Value &value)
    {
        const std::string_view k = key, v = value;
        return detail::ok(kvds_set(handle_, k.data(), k.size(), v.data(), v.size()));
    }

    /** `kvds_del` */
    bool del(const std::string &key) override { return del(std::string_view(key)); }
    /** Deletes `key`; false if it does not exist; `kvds_del`. */
    template <class Key, class = detail::if_text<Key>>
    bool del(const Key &key)
    {
        const std::string_view k = key;
        return detail::ok(kvds_del(handle_, k.data(), k.size()));
    }

    /** `kvds_set_batch` */
    bool set_batch(const std::map<std::string, std::string> &pairs) override
    {
        return set_batch<std::map<std::string, std::string>>(pairs);
    }
    /** Sets the pairs of a container in one step; the last of a key wins; `kvds_set_batch`. */
    template <class Pairs>
    bool set_batch(const Pairs &pairs)
    {
        static_assert(detail::keeps_texts<Pairs>,
                      "the pairs must be in the container, not created by its iterators");
        std::vector<kvds_pair> all;
        for (const auto &[key, value] : pairs) {
            const std::string_view k = key, v = value;
            all.push_back({ k.data(), k.size(), v.data(), v.size() });
        }
        return detail::ok(kvds_set_batch(handle_, all.data(), all.size()));
    }
    /** Sets the pairs in braces in one atomic step; `kvds_set_batch`. */
    bool set_batch(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs)
    {
        return set_batch<std::initializer_list<std::pair<std::string_view, std::string_view>>>(
            pairs);
    }

    /** `kvds_delete_batch` */
    bool delete_batch(const std::vector<std::string> &keys) override
    {
        return delete_batch<std::vector<std::string>>(keys);
    }
    /** Deletes the keys of a container, which need not exist, in one step; `kvds_delete_batch`. */
    template <class Keys>
    bool delete_batch(const Keys &keys)
    {
        const std::vector<kvds_bytes> all = bytes_of(keys);
        return detail::ok(kvds_delete_batch(handle_, all.data(), all.size()));
    }
    /** Deletes the keys in braces in one atomic step; `kvds_delete_batch`. */
    bool delete_batch(std::initializer_list<std::string_view> keys)
    {
        return delete_batch<std::initializer_list<std::string_view>>(keys);
    }

    /** `kvds_set_nx` */
    bool set_nx(const std::string &key, const std::string &value) override
    {
        return set_nx(std::string_view(key), std::string_view(value));
    }
    /** Sets `key` to `value` if the key does not exist; `kvds_set_nx`. */
    template <class Key, class Value, class = detail::if_text<Key>, class = detail::if_text<Value>>
    bool set_nx(const Key &key, const Value &value)
    {
        const std::string_view k = key, v = value;
        return detail::ok(kvds_set_nx(handle_, k.data(), k.size(), v.data(), v.size()));
    }

    /** Sets `key` to `value` for a time; `kvds_set_ttl`. */
    bool set_ttl(std::string_view key, std::string_view value, std::chrono::milliseconds ttl)
    {
        return detail::ok(kvds_set_ttl(handle_, key.data(), key.size(), value.data(), value.size(),
                                       detail::ttl_ms(ttl)));
    }
    /** Sets `key` to `value` for a time, if the key does not exist; `kvds_set_nx_ttl`. */
    bool set_nx_ttl(std::string_view key, std::string_view value, std::chrono::milliseconds ttl)
    {
        return detail::ok(kvds_set_nx_ttl(handle_, key.data(), key.size(), value.data(),
                                          value.size(), detail::ttl_ms(ttl)));
    }
    /** Replaces the time that `key` has left; 0 or `forever`: it never expires; `kvds_expire`. */
    bool expire(std::string_view key, std::chrono::milliseconds ttl)
    {
        return detail::ok(
            kvds_expire(handle_, key.data(), key.size(), detail::optional_ttl_ms(ttl)));
    }

    /** `kvds_compare_and_swap` */
    bool compare_and_swap(const std::string &key, const std::string &expected,
                          const std::string &value) override
    {
        return compare_and_swap(std::string_view(key), std::string_view(expected),
                                std::string_view(value));
    }
    /** Sets `key` to `value` if its value is `expected`; `kvds_compare_and_swap`. */
    template <class Key, class Expected, class Value, class = detail::if_text<Key>,
              class = detail::if_text<Expected>, class = detail::if_text<Value>>
    bool compare_and_swap(const Key &key, const Expected &expected, const Value &value)
    {
        const std::string_view k = key, e = expected, v = value;
        return detail::ok(kvds_compare_and_swap(handle_, k.data(), k.size(), e.data(), e.size(),
                                                v.data(), v.size()));
    }

    /** Deletes `key` if its value is `expected`; `kvds_compare_and_delete`. */
    bool compare_and_delete(std::string_view key, std::string_view expected)
    {
        return detail::ok(kvds_compare_and_delete(handle_, key.data(), key.size(), expected.data(),
                                                  expected.size()));
    }
    /** Adds `delta` to the number stored under `key` and returns the sum; `kvds_add`. */
    std::optional<std::int64_t> add(std::string_view key, std::int64_t delta)
    {
        std::int64_t sum = 0;
        if (!detail::ok(kvds_add(handle_, key.data(), key.size(), delta, &sum)))
            return std::nullopt;
        return sum;
    }
    /** Deletes every key that begins with `prefix` in one atomic step; `kvds_delete_prefix`. */
    bool delete_prefix(std::string_view prefix)
    {
        return detail::ok(kvds_delete_prefix(handle_, prefix.data(), prefix.size()));
    }
    /** Applies `batch` in one atomic step if every expectation holds; `kvds_write`. */
    bool write(const batch_c &batch) { return detail::ok(kvds_write(handle_, batch.handle())); }

    /* ---- views */

    /** Creates a view that permits only some operations; `kvds_store_view`. */
    std::optional<shared_obj_c<store_c>> view(rights rights) const;
    /** Creates a view of the keys that begin with `prefix`, without it; `kvds_store_scope`. */
    std::optional<shared_obj_c<store_c>> scope(std::string_view prefix) const;
    /** Creates a read-only view that no later write changes; `kvds_store_snapshot`. */
    std::optional<shared_obj_c<store_c>> snapshot() const;

    /* ---- durability, maintenance, statistics */

    /** Makes every acknowledged write survive a power failure; `kvds_sync`. */
    bool sync() const { return detail::ok(kvds_sync(handle_)); }
    /** Reclaims the disk space of overwritten and deleted entries; `kvds_compact`. */
    bool compact() const { return detail::ok(kvds_compact(handle_)); }
    /** Shows what another process has written to a `read_only` store; `kvds_refresh`. */
    bool refresh() const { return detail::ok(kvds_refresh(handle_)); }
    /** Copies the store to a new disk store in the directory `path`; `kvds_checkpoint`. */
    bool checkpoint(const std::string &path) const
    {
        return detail::ok(kvds_checkpoint(handle_, detail::c_str(path)));
    }
    /** Returns the statistics of the store; `kvds_store_stats`. */
    std::optional<kvds::stats> stats() const
    {
        kvds::stats stats{};
        if (!detail::ok(kvds_store_stats(handle_, &stats, sizeof stats)))
            return std::nullopt;
        return stats;
    }
    /** Returns the property `name` of the store as text; `kvds_store_property`. */
    std::optional<std::string> property(const std::string &name) const
    {
        kvds_value text{};
        if (!detail::ok(kvds_store_property(handle_, detail::c_str(name), &text)))
            return std::nullopt;
        return value_c(text).str();
    }

private:
    friend class shared_obj_c<store_c>;

    explicit store_c(kvds_store *handle) noexcept : handle_(handle) {}
    ~store_c() override { kvds_store_release(handle_); }

    template <class Keys>
    static std::vector<kvds_bytes> bytes_of(const Keys &keys)
    {
        static_assert(detail::keeps_texts<Keys>,
                      "the keys must be in the container, not created by its iterators");
        std::vector<kvds_bytes> all;
        for (const auto &key : keys)
            all.push_back(detail::bytes(key));
        return all;
    }

    static kvds_range c_range(const range &r) noexcept
    {
        return { r.prefix.data(), r.prefix.size(), r.start.data(),
                 r.start.size(),  r.end.data(),    r.end.size() };
    }

    cursor_c new_cursor(const range &range) const
    {
        const kvds_range wanted = c_range(range);
        kvds_cursor *cursor = nullptr;
        detail::keep(kvds_cursor_new(handle_, &wanted, &cursor));
        return cursor_c(cursor);
    }

    kvds_store *handle_;
};

/**
 * A reference to a store (`kvds_store`), counted by the library. It differs from other shared_obj_c
 * in one point: get() points to a store_c of this reference, which lives as long as the reference.
 * Compare references, not these pointers.
 */
template <>
class shared_obj_c<store_c> {
public:
    /** The class that get() points to. */
    using element_type = store_c;

    /** Creates an empty reference. */
    shared_obj_c() noexcept : store_(nullptr) {}
    /** Adds a reference to `store`. */
    shared_obj_c(const store_c *store) noexcept
        : store_(store ? kvds_store_retain(store->handle()) : nullptr)
    {}
    /** Adds a reference to the object of `other`. */
    shared_obj_c(const shared_obj_c &other) noexcept : store_(kvds_store_retain(other.handle())) {}
    /** Moves the reference out of `other`. */
    shared_obj_c(shared_obj_c &&other) noexcept
        : store_(std::exchange(other.store_.handle_, nullptr))
    {}
    /** Replaces the reference by that of `other`. */
    shared_obj_c &operator=(shared_obj_c other) noexcept
    {
        std::swap(store_.handle_, other.store_.handle_);
        return *this;
    }
    ~shared_obj_c() = default;

    /** Takes ownership of a reference that a function of kvds.h returned; may be NULL. */
    static shared_obj_c adopt(kvds_store *handle) noexcept
    {
        shared_obj_c adopted;
        adopted.store_.handle_ = handle;
        return adopted;
    }

    /** Returns the store; undefined for an empty reference. */
    store_c &operator*() const noexcept { return store_; }
    /** Returns the store; undefined for an empty reference. */
    store_c *operator->() const noexcept { return &store_; }
    /** Returns the store, or NULL. It is valid as long as this reference. */
    store_c *get() const noexcept { return *this ? &store_ : nullptr; }
    /** Returns the store, or NULL, like get(). */
    store_c *ptr() const noexcept { return get(); }
    /** Returns the handle for functions of kvds.h. This object still owns it. */
    kvds_store *handle() const noexcept { return store_.handle(); }
    /** Releases the reference. */
    void reset() noexcept { shared_obj_c().swap(*this); }
    /** Replaces the reference by one to `store`. */
    void reset(const store_c *store) noexcept { shared_obj_c(store).swap(*this); }
    /** Swaps two references. */
    void swap(shared_obj_c &other) noexcept { std::swap(store_.handle_, other.store_.handle_); }
    /** Swaps two references. */
    friend void swap(shared_obj_c &a, shared_obj_c &b) noexcept { a.swap(b); }
    /** Returns the number of references to the store; 0 without a store. */
    long use_count() const noexcept { return *this ? static_cast<long>(store_.refCount()) : 0; }
    /** Returns whether there is a store. Converts to bool only, and not on to a number. */
    template <class Bool, class = detail::if_bool<Bool>>
    operator Bool() const noexcept
    {
        return handle() != nullptr;
    }
    /** Returns whether both refer to the same store. */
    bool operator==(const shared_obj_c &other) const noexcept { return handle() == other.handle(); }
    /** Returns whether they refer to different stores. */
    bool operator!=(const shared_obj_c &other) const noexcept { return handle() != other.handle(); }
    /** Compares addresses, for containers. */
    bool operator<(const shared_obj_c &other) const noexcept
    {
        return std::less<kvds_store *>()(handle(), other.handle());
    }
    /** Compares addresses, for containers. */
    bool operator>(const shared_obj_c &other) const noexcept { return other < *this; }
    /** Compares addresses, for containers. */
    bool operator<=(const shared_obj_c &other) const noexcept { return !(other < *this); }
    /** Compares addresses, for containers. */
    bool operator>=(const shared_obj_c &other) const noexcept { return !(*this < other); }
    /** Compares the addresses of the stores. */
    bool owner_before(const shared_obj_c &other) const noexcept { return *this < other; }

    /**
     * Converts to a std::shared_ptr that holds one reference. Each conversion creates an owner of
     * its own: a std::weak_ptr to it expires with that owner, not with the store.
     */
    template <class Base, class = std::enable_if_t<std::is_convertible_v<store_c *, Base *>>>
    operator std::shared_ptr<Base>() const
    {
        if (!*this)
            return nullptr;
        auto holder = std::make_shared<shared_obj_c>(*this);
        return std::shared_ptr<Base>(holder, holder->get());
    }

private:
    // A const reference allows writing to the store, as a const pointer does.
    mutable store_c store_;
};

inline std::optional<shared_obj_c<store_c>> store_c::view(rights rights) const
{
    kvds_store *view = nullptr;
    if (!detail::ok(kvds_store_view(handle_, static_cast<int>(rights), &view)))
        return std::nullopt;
    return shared_obj_c<store_c>::adopt(view);
}

inline std::optional<shared_obj_c<store_c>> store_c::scope(std::string_view prefix) const
{
    kvds_store *scope = nullptr;
    if (!detail::ok(kvds_store_scope(handle_, prefix.data(), prefix.size(), &scope)))
        return std::nullopt;
    return shared_obj_c<store_c>::adopt(scope);
}

inline std::optional<shared_obj_c<store_c>> store_c::snapshot() const
{
    kvds_store *snapshot = nullptr;
    if (!detail::ok(kvds_store_snapshot(handle_, &snapshot)))
        return std::nullopt;
    return shared_obj_c<store_c>::adopt(snapshot);
}

/* --------------------------------------------------------------------------------- distributors */

/** Options of a distributor or a store, which copies them; `kvds_options`. */
class options_c {
public:
    /** Creates options at their defaults; `kvds_options_new`. Freed by `kvds_options_free`. */
    options_c() : options_(kvds_options_new()) {}

    /** Sets the option `name` from text; `kvds_options_set`. */
    bool set(const std::string &name, const std::string &value)
    {
        return detail::ok(kvds_options_set(handle(), detail::c_str(name), detail::c_str(value)));
    }
    /** Sets what an acknowledged write survives; `kvds_options_set_durability`. */
    bool durability(kvds::durability durability)
    {
        return detail::ok(
            kvds_options_set_durability(handle(), static_cast<kvds_durability>(durability)));
    }
    /** Sets the memory for data that was read; `kvds_options_set_block_cache_bytes`. */
    bool block_cache_bytes(std::uint64_t bytes)
    {
        return detail::ok(kvds_options_set_block_cache_bytes(handle(), bytes));
    }
    /** Sets the memory for writes not yet in a table; `kvds_options_set_write_buffer_bytes`. */
    bool write_buffer_bytes(std::uint64_t bytes)
    {
        return detail::ok(kvds_options_set_write_buffer_bytes(handle(), bytes));
    }
    /** Sets how much all memory stores hold at most; `kvds_options_set_memory_limit_bytes`. */
    bool memory_limit_bytes(std::uint64_t bytes)
    {
        return detail::ok(kvds_options_set_memory_limit_bytes(handle(), bytes));
    }
    /** Sets how table files are compressed; `kvds_options_set_compression`. */
    bool compression(kvds::compression compression)
    {
        return detail::ok(
            kvds_options_set_compression(handle(), static_cast<kvds_compression>(compression)));
    }
    /** Sets whether disk stores are opened for reading only; `kvds_options_set_read_only`. */
    bool read_only(bool read_only)
    {
        return detail::ok(kvds_options_set_read_only(handle(), read_only));
    }
    /** Sets whether missing stores are created; `kvds_options_set_create_if_missing`. */
    bool create_if_missing(bool create)
    {
        return detail::ok(kvds_options_set_create_if_missing(handle(), create));
    }
    /** Sets whether the distributor keeps its stores; `kvds_options_set_keep_stores`. */
    bool keep_stores(bool keep) { return detail::ok(kvds_options_set_keep_stores(handle(), keep)); }
    /** Sets how many files a disk store keeps open; `kvds_options_set_max_open_files`. */
    bool max_open_files(std::int64_t files)
    {
        return detail::ok(kvds_options_set_max_open_files(handle(), files));
    }
    /** Sets the memory for changes of watches; `kvds_options_set_watch_buffer_bytes`. */
    bool watch_buffer_bytes(std::uint64_t bytes)
    {
        return detail::ok(kvds_options_set_watch_buffer_bytes(handle(), bytes));
    }
    /** Sets the servers and the namespace of cluster stores; `kvds_options_set_cluster`. */
    bool cluster(const std::string &url)
    {
        return detail::ok(kvds_options_set_cluster(handle(), detail::c_str(url)));
    }
    /** Sets the files for TLS, "" for none; `kvds_options_set_cluster_tls`. */
    bool cluster_tls(const std::string &ca, const std::string &cert = "",
                     const std::string &key = "")
    {
        return detail::ok(kvds_options_set_cluster_tls(handle(), detail::c_str(ca),
                                                       detail::c_str(cert), detail::c_str(key)));
    }
    /** Sets the user that logs in to the cluster; `kvds_options_set_cluster_login`. */
    bool cluster_login(const std::string &user, const std::string &password)
    {
        return detail::ok(
            kvds_options_set_cluster_login(handle(), detail::c_str(user), detail::c_str(password)));
    }
    /** Sets how long a call on a cluster may take; `kvds_options_set_cluster_timeout_ms`. */
    bool cluster_timeout_ms(std::uint64_t milliseconds)
    {
        return detail::ok(kvds_options_set_cluster_timeout_ms(handle(), milliseconds));
    }
    /** Returns the handle for functions of kvds.h. This object still owns it. */
    kvds_options *handle() const noexcept { return options_.get(); }

private:
    detail::owner<kvds_options, kvds_options_free> options_;
};

inline std::optional<shared_obj_c<store_c>> store_c::open(const std::string &path)
{
    kvds_store *store = nullptr;
    if (!detail::ok(kvds_store_open(detail::c_str(path), nullptr, &store)))
        return std::nullopt;
    return shared_obj_c<store_c>::adopt(store);
}

inline std::optional<shared_obj_c<store_c>> store_c::open(const std::string &path,
                                                          const options_c &options)
{
    kvds_store *store = nullptr;
    // NULL means the defaults in C. Options that were moved from are an error, as elsewhere.
    const kvds_status opened = options.handle()
                                   ? kvds_store_open(detail::c_str(path), options.handle(), &store)
                                   : kvds_options_set(nullptr, "", "");
    if (!detail::ok(opened))
        return std::nullopt;
    return shared_obj_c<store_c>::adopt(store);
}

/**
 * Returns stores by name; `kvds_distributor`. It is a counted reference: a copy is the same
 * distributor. Any threads may call all functions at the same time.
 */
class distributor_c {
public:
    /** Creates a distributor without disk stores; `kvds_distributor_new`. */
    distributor_c() : distributor_c(std::string()) {}
    /** Creates a distributor with disk stores under `base_path`; false as a bool after an error. */
    explicit distributor_c(const std::string &base_path)
    {
        detail::keep(kvds_distributor_open(detail::c_str(base_path), nullptr, &distributor_));
    }
    /** Creates a distributor with options; `kvds_distributor_open`. */
    distributor_c(const std::string &base_path, const options_c &options)
    {
        // NULL means the defaults in C. Options that were moved from are an error, as elsewhere.
        detail::keep(options.handle() ? kvds_distributor_open(detail::c_str(base_path),
                                                              options.handle(), &distributor_)
                                      : kvds_options_set(nullptr, "", ""));
    }
    /** Adds a reference to the distributor of `other`; `kvds_distributor_retain`. */
    distributor_c(const distributor_c &other) noexcept
        : distributor_(kvds_distributor_retain(other.distributor_))
    {}
    /** Moves the reference out of `other`. */
    distributor_c(distributor_c &&other) noexcept
        : distributor_(std::exchange(other.distributor_, nullptr))
    {}
    /** Replaces the reference by that of `other`. */
    distributor_c &operator=(distributor_c other) noexcept
    {
        std::swap(distributor_, other.distributor_);
        return *this;
    }
    /** Releases the reference; `kvds_distributor_release`. Referenced stores keep working. */
    ~distributor_c() { kvds_distributor_release(distributor_); }

    /** Returns whether there is a distributor. */
    explicit operator bool() const noexcept { return distributor_ != nullptr; }
    /** Returns the number of references; `kvds_distributor_ref_count`. */
    std::int64_t refCount() const noexcept { return kvds_distributor_ref_count(distributor_); }
    /** Returns the handle for functions of kvds.h. This object still owns it. */
    kvds_distributor *handle() const noexcept { return distributor_; }
    /** Returns kvds::last_status(). */
    static status last_status() noexcept { return kvds::last_status(); }

    /** Gets the live store `id`, or creates or opens it; `kvds_distributor_get_or_create`. */
    std::optional<shared_obj_c<store_c>> get_or_create(const std::string &id, backend backend) const
    {
        return ask(kvds_distributor_get_or_create, id, backend);
    }
    /** Gets the live store `id`, if there is one; `kvds_distributor_get`. */
    std::optional<shared_obj_c<store_c>> get(const std::string &id, backend backend) const
    {
        return ask(kvds_distributor_get, id, backend);
    }
    /** Releases the reference of the option `keep_stores`; `kvds_distributor_evict`. */
    bool evict(const std::string &id, backend backend) const
    {
        return detail::ok(kvds_distributor_evict(distributor_, detail::id_str(id),
                                                 static_cast<kvds_backend>(backend)));
    }
    /** Deletes the data of a store that is not live; `kvds_distributor_destroy`. */
    bool destroy(const std::string &id, backend backend) const
    {
        return detail::ok(kvds_distributor_destroy(distributor_, detail::id_str(id),
                                                   static_cast<kvds_backend>(backend)));
    }
    /** Deletes the files of a disk store; `kvds_distributor_destroy_store`. */
    bool destroy_store(const std::string &id) const
    {
        return detail::ok(kvds_distributor_destroy_store(distributor_, detail::id_str(id)));
    }
    /** Closes every live store and returns no more; `kvds_distributor_shutdown`. */
    bool shutdown() const { return detail::ok(kvds_distributor_shutdown(distributor_)); }
    /** Returns the number of live stores; `kvds_distributor_store_count`. */
    std::size_t store_count() const noexcept { return kvds_distributor_store_count(distributor_); }

    /**
     * Calls `callback(std::string_view id, backend, std::uint64_t tag, std::int64_t ref_count)` for
     * every live store; `kvds_distributor_for_each`. It returns whether to continue. Returns true
     * if all stores were visited or the callback stopped (`stopped`).
     */
    template <class Callback>
    bool for_each(Callback &&callback) const
    {
        using relay = detail::relay_c<std::remove_reference_t<Callback>>;
        relay called(callback);
        const auto visit = [](void *relayed, const char *id, kvds_backend backend,
                              std::uint64_t tag, std::int64_t ref_count) noexcept {
            return static_cast<relay *>(relayed)->call(
                std::string_view(id), static_cast<kvds::backend>(backend), tag, ref_count);
        };
        return called.end(kvds_distributor_for_each(distributor_, visit, &called));
    }

    /** Called when a store dies. The id is valid during the call. */
    using on_death =
        std::function<void(std::uint64_t tag, std::string_view id, kvds::backend backend)>;

    /** Registers an observer; returns its number for unobserve(); `kvds_distributor_observe`. */
    std::optional<std::uint64_t> observe(on_death callback) const
    {
        const auto called = [](void *function, std::uint64_t tag, const char *id,
                               kvds_backend backend) noexcept {
            (*static_cast<on_death *>(function))(tag, id, static_cast<kvds::backend>(backend));
        };
        const auto free = [](void *function) noexcept { delete static_cast<on_death *>(function); };
        std::uint64_t observer = 0;
        // An empty function is an error now, and not when a store dies.
        const kvds_death on_store_death = callback ? +called : nullptr;
        if (!detail::ok(kvds_distributor_observe(
                distributor_, on_store_death, new on_death(std::move(callback)), free, &observer)))
            return std::nullopt;
        return observer;
    }
    /**
     * Registers an observer that gets the tag of each store that dies; `kvds_distributor_observe`.
     * It must live until unobserve().
     */
    std::optional<std::uint64_t> observe(lifetime_tagged_c::observer_if &observer) const
    {
        return observe([&observer](std::uint64_t tag, std::string_view, kvds::backend) {
            observer.death_ind(tag);
        });
    }
    /** Removes an observer, after which no call of it runs; `kvds_distributor_unobserve`. */
    bool unobserve(std::uint64_t observer) const
    {
        return detail::ok(kvds_distributor_unobserve(distributor_, observer));
    }

private:
    template <class Function>
    std::optional<shared_obj_c<store_c>> ask(Function function, const std::string &id,
                                             backend backend) const
    {
        kvds_store *store = nullptr;
        if (!detail::ok(function(distributor_, detail::id_str(id),
                                 static_cast<kvds_backend>(backend), &store)))
            return std::nullopt;
        return shared_obj_c<store_c>::adopt(store);
    }

    kvds_distributor *distributor_ = nullptr;
};

/* ------------------------------------------------------------------------------- damaged stores */

/** A damage of one file, valid during the call of the callback; `kvds_damage`. */
struct damage {
    std::string_view file{};                 /**< The damaged file, or the store's directory. */
    std::string_view problem{};              /**< What is damaged. */
    kvds::loss loss = kvds::loss::none;      /**< What that takes away. */
    std::optional<std::string_view> first{}; /**< No key before it is affected. */
    std::optional<std::string_view> last{};  /**< No key after it is affected. */
};

/** For this header alone, not for programs. */
namespace detail {

inline std::optional<std::string_view> bound(const void *key, std::size_t len) noexcept
{
    return key ? std::optional(text(key, len)) : std::nullopt;
}

/** Calls a callback with the damage in C++'s form. */
template <class Relay>
int relay_damage(void *relayed, const kvds_damage *damaged, std::uint64_t done,
                 std::uint64_t total) noexcept
{
    if (!damaged)
        return static_cast<Relay *>(relayed)->call(static_cast<const damage *>(nullptr), done,
                                                   total);
    const damage shown{ damaged->file, damaged->problem, static_cast<loss>(damaged->loss),
                        bound(damaged->first, damaged->first_len),
                        bound(damaged->last, damaged->last_len) };
    return static_cast<Relay *>(relayed)->call(&shown, done, total);
}

/** The options of a function that takes NULL for the defaults. */
inline bool usable(const options_c *options) noexcept
{
    return !options || options->handle() || ok(kvds_options_set(nullptr, "", ""));
}

} // namespace detail

/**
 * Calls `callback(const damage *, std::uint64_t bytes_done, std::uint64_t bytes_total)` for each
 * damage of the disk store in the directory `path`, and with NULL for progress; `kvds_verify`. It
 * returns whether to continue. Returns true if there is no damage or the callback stopped
 * (`stopped`). `options` may be NULL.
 */
template <class Callback>
bool verify(const std::string &path, Callback &&callback, const options_c *options = nullptr)
{
    using relay = detail::relay_c<std::remove_reference_t<Callback>>;
    relay called(callback);
    if (!detail::usable(options))
        return false;
    return called.end(kvds_verify(detail::c_str(path), options ? options->handle() : nullptr,
                                  detail::relay_damage<relay>, &called));
}

/**
 * Copies what can be read of the damaged disk store in the directory `path` into a new one in the
 * directory `target`; `kvds_salvage`. The callback is that of verify(). Returns nothing if it
 * stopped (`stopped`).
 */
template <class Callback>
std::optional<salvaged> salvage(const std::string &path, const std::string &target,
                                Callback &&callback, const options_c *options = nullptr)
{
    using relay = detail::relay_c<std::remove_reference_t<Callback>>;
    relay called(callback);
    salvaged saved{};
    if (!detail::usable(options))
        return std::nullopt;
    const bool ended = called.end(kvds_salvage(detail::c_str(path), detail::c_str(target),
                                               options ? options->handle() : nullptr,
                                               detail::relay_damage<relay>, &called, &saved));
    if (!ended || last_status() != status::ok)
        return std::nullopt;
    return saved;
}

/* ------------------------------------------------------------------------------------------ log */

/** A receiver of log messages. One thread of the library calls it. */
class log_if {
public:
    virtual ~log_if() = default;
    /** Called for each message, which is valid during the call. */
    virtual void line(log_level level, std::string_view text) = 0;
};

/**
 * Registers `log` for messages of `level` and more important ones; `kvds_set_log_callback`. NULL
 * removes it. A process has one log, which must live until it is replaced.
 */
inline bool set_log_callback(log_level level, log_if *log)
{
    const auto line = [](void *receiver, kvds_log_level important, const char *text) noexcept {
        static_cast<log_if *>(receiver)->line(static_cast<log_level>(important), text);
    };
    return detail::ok(
        kvds_set_log_callback(static_cast<kvds_log_level>(level), log ? +line : nullptr, log));
}

} // namespace kvds

/** @cond */ /* Doxygen 1.9 cannot parse specializations in another namespace. */

/** Hashes a counted reference: references to the same object have the same hash. */
template <class T>
struct std::hash<kvds::shared_obj_c<T>> {
    /** Returns the hash of the object's address. */
    std::size_t operator()(const kvds::shared_obj_c<T> &reference) const noexcept
    {
        return std::hash<T *>()(reference.get());
    }
};

/** Hashes a counted reference to a store: references to the same store have the same hash. */
template <>
struct std::hash<kvds::shared_obj_c<kvds::store_c>> {
    /** Returns the hash of the handle's address. */
    std::size_t operator()(const kvds::shared_obj_c<kvds::store_c> &reference) const noexcept
    {
        return std::hash<kvds_store *>()(reference.handle());
    }
};

/** @endcond */

#endif /* KVDS_HPP */
