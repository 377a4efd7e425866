/* Times to live and watches of the C++ header, on every backend. */
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <kvds.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <poll.h>

using namespace std::chrono_literals;
using kvds::backend;
using kvds::change_kind;
using kvds::last_status;
using kvds::status;

/* For messages of doctest. */
template <>
struct doctest::StringMaker<kvds::status> {
    static String convert(kvds::status status) { return kvds::to_string(status); }
};

namespace {

using store_ref = kvds::shared_obj_c<kvds::store_c>;
using contents = std::map<std::string, std::string>;

/* A temporary directory. */
class directory_c {
public:
    directory_c()
    {
        std::string name = (std::filesystem::temp_directory_path() / "facade-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~directory_c() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

/* Runs a test on a new store of each backend. */
template <class Test>
void for_every_backend(Test test, const kvds::options_c &options = {})
{
#ifdef KVDS_TEST_NO_DISK
    const auto backends = { backend::memory };
#else
    const auto backends = { backend::memory, backend::disk };
#endif
    for (const backend where : backends) {
        CAPTURE(static_cast<int>(where));
        const directory_c directory;
        kvds::distributor_c distributor(directory.path.string(), options);
        REQUIRE(distributor);
        auto store = distributor.get_or_create("store", where);
        REQUIRE(store);
        test(*store);
    }
}

/* Waits until a key has expired, however slow the machine is. */
void await_expiry(kvds::store_c &store, std::string_view key)
{
    const auto end = std::chrono::steady_clock::now() + 5min;
    while (store.exists(key)) {
        REQUIRE(std::chrono::steady_clock::now() < end);
        std::this_thread::sleep_for(10ms);
    }
    CHECK(last_status() == status::not_found);
}

contents all(const kvds::store_c &store)
{
    contents pairs;
    for (auto [key, value] : store.scan())
        pairs.emplace(key, value);
    return pairs;
}

void apply(const kvds::change &change, contents &copy)
{
    switch (change.kind) {
    case change_kind::set: copy[std::string(change.key)] = change.value; break;
    case change_kind::del: copy.erase(std::string(change.key)); break;
    case change_kind::del_range:
        copy.erase(copy.lower_bound(std::string(change.key)),
                   change.value.empty() ? copy.end() : copy.lower_bound(std::string(change.value)));
    }
}

bool is_readable(int descriptor)
{
    pollfd polled{ descriptor, POLLIN, 0 };
    return poll(&polled, 1, 0) == 1;
}

} // namespace

TEST_CASE("keys expire, and durations of any unit say when")
{
    for_every_backend([](const store_ref &store) {
        CHECK(store->set_ttl("set", "1", 1ms));
        CHECK(store->set_nx_ttl("new", "2", 1ms));
        CHECK(store->set("plain", "3"));
        CHECK(store->expire("plain", 1ms));
        kvds::batch_c batch;
        CHECK(batch.set_ttl("batch", "4", 1ms));
        CHECK(batch.count() == 1);
        CHECK(store->write(batch));
        for (const char *key : { "set", "new", "plain", "batch" })
            await_expiry(*store, key);
        CHECK_FALSE(store->expire("set", 1s));
        CHECK(last_status() == status::not_found);

        CHECK(store->set_ttl("seconds", "1", std::chrono::seconds(100)));
        CHECK(store->ttl("seconds") > 10s);
        CHECK(store->ttl("seconds") <= 101s);
        CHECK(store->set_nx_ttl("hours", "1", std::chrono::hours(2)));
        CHECK(store->ttl("hours") > 1h);
        CHECK(store->expire("hours", std::chrono::ceil<std::chrono::milliseconds>(
                                         std::chrono::duration<double>(5000.5))));
        CHECK(store->ttl("hours") < 1h + 30min);
        CHECK(store->ttl("hours") > 1h);
        CHECK(store->set("plain", "1"));
        auto cursor = store->cursor();
        REQUIRE(cursor);
        CHECK_FALSE(cursor->ttl());
        CHECK(last_status() == status::not_found);
        CHECK(cursor->seek("hours"));
        CHECK(cursor->ttl() > 1h);
        CHECK(cursor->seek("plain"));
        CHECK(cursor->ttl() == kvds::forever);
    });
}

TEST_CASE("a time of 0, and forever, end a time to live")
{
    for_every_backend([](const store_ref &store) {
        const auto set = [&] { REQUIRE(store->set_ttl("key", "1", 1h)); };
        set();
        CHECK(store->ttl("key") != kvds::forever);
        CHECK(store->expire("key", 0ms));
        CHECK(store->ttl("key") == kvds::forever);
        set();
        CHECK(store->expire("key", kvds::forever));
        CHECK(store->ttl("key") == kvds::forever);
        set();
        CHECK(store->set("key", "2"));
        CHECK(store->ttl("key") == kvds::forever);
        kvds::batch_c batch;
        CHECK(batch.expire("key", kvds::forever));
        set();
        CHECK(store->write(batch));
        CHECK(store->ttl("key") == kvds::forever);
        /* The time that is left can be set again. */
        CHECK(store->expire("key", *store->ttl("key")));
        CHECK(store->ttl("key") == kvds::forever);
        /* A key that never expires has more time left than any time. */
        CHECK(store->ttl("key") > std::chrono::milliseconds(KVDS_MAX_TTL_MS));
    });
}

TEST_CASE("times that are not allowed")
{
    const std::chrono::milliseconds longest(KVDS_MAX_TTL_MS);
    for_every_backend([&](const store_ref &store) {
        REQUIRE(store->set("key", "1"));
        kvds::batch_c batch;
        for (const auto ttl :
             { longest + 1ms, -1ms, std::chrono::milliseconds::min(), kvds::forever - 1ms }) {
            CHECK_FALSE(store->set_ttl("key", "2", ttl));
            CHECK(last_status() == status::invalid_argument);
            CHECK_FALSE(store->set_nx_ttl("new", "2", ttl));
            CHECK_FALSE(store->expire("key", ttl));
            CHECK(last_status() == status::invalid_argument);
            CHECK_FALSE(batch.set_ttl("key", "2", ttl));
            CHECK_FALSE(batch.expire("key", ttl));
            CHECK(last_status() == status::invalid_argument);
        }
        for (const auto ttl : { 0ms, kvds::forever }) {
            CHECK_FALSE(store->set_ttl("key", "2", ttl));
            CHECK(last_status() == status::invalid_argument);
            CHECK_FALSE(store->set_nx_ttl("new", "2", ttl));
            CHECK_FALSE(batch.set_ttl("key", "2", ttl));
        }
        CHECK(std::string(kvds::last_error()).find("ttl_ms") != std::string::npos);
        CHECK(batch.count() == 0);
        CHECK(all(*store) == contents{ { "key", "1" } });
        CHECK(store->ttl("key") == kvds::forever);
        CHECK(store->set_ttl("key", "2", longest));
        CHECK_FALSE(store->set_nx_ttl("key", "3", 1s));
        CHECK(last_status() == status::exists);
    });
}

TEST_CASE("a lock that its owner renews")
{
    for_every_backend([](const store_ref &store) {
        REQUIRE(store->set_nx_ttl("lock", "mine", 1min));
        const auto renew = [&](std::string_view owner) {
            kvds::batch_c batch;
            REQUIRE(batch.expect("lock", owner));
            REQUIRE(batch.expire("lock", 1h));
            return store->write(batch);
        };
        CHECK_FALSE(renew("other"));
        CHECK(last_status() == status::mismatch);
        CHECK(store->ttl("lock") <= 1min + 1s);
        CHECK(renew("mine"));
        CHECK(store->ttl("lock") > 1min + 1s);
    });
}

TEST_CASE("views have the times of their store")
{
    for_every_backend([](const store_ref &store) {
        const auto users = store->scope("user:");
        REQUIRE(users);
        CHECK((*users)->set_ttl("ada", "1", 1h));
        CHECK(store->ttl("user:ada") > 1min);
        const auto reader = store->view(kvds::rights::read);
        REQUIRE(reader);
        CHECK((*reader)->ttl("user:ada") > 1min);
        CHECK_FALSE((*reader)->expire("user:ada", 1s));
        CHECK(last_status() == status::denied);
        REQUIRE(store->close());
        CHECK_FALSE(store->ttl("user:ada"));
        CHECK(last_status() == status::closed);
    });
}

TEST_CASE("a watch returns each change")
{
    for_every_backend([](const store_ref &store) {
        kvds::watch_c watch = store->watch();
        REQUIRE(watch);
        CHECK_FALSE(watch.next(0ms));
        CHECK(last_status() == status::not_found);
        CHECK_FALSE(watch.next(1ms));

        kvds::batch_c batch;
        REQUIRE(batch.set("a", "1"));
        REQUIRE(batch.del("b"));
        REQUIRE(store->write(batch));
        REQUIRE(store->set("c", std::string("\0", 1)));
        const auto first = watch.next();
        REQUIRE(first);
        CHECK(last_status() == status::ok);
        CHECK(first->kind == change_kind::set);
        CHECK_FALSE(first->last);
        CHECK(first->key == "a");
        CHECK(first->value == "1");
        const auto second = watch.next(1h);
        REQUIRE(second);
        CHECK(second->kind == change_kind::del);
        CHECK(second->last);
        CHECK(second->sequence == first->sequence);
        CHECK(second->key == "b");
        CHECK(second->value.empty());
        const auto third = watch.next(0ms);
        REQUIRE(third);
        CHECK(third->sequence > second->sequence);
        CHECK(third->value == std::string_view("\0", 1));

        /* The time that is left until a time that has passed is less than 0, and does not wait. */
        CHECK_FALSE(watch.next(-1ms));
        CHECK_FALSE(watch.next(std::chrono::milliseconds::min()));
        CHECK(last_status() == status::not_found);
        CHECK(store->set("d", "1"));
        CHECK(watch.next(-1ms));
    });
}

TEST_CASE("a watch has a range")
{
    for_every_backend([](const store_ref &store) {
        const std::string prefix = "user:";
        std::vector<kvds::watch_c> watches;
        watches.push_back(store->watch("user:"));
        watches.push_back(store->watch(prefix));
        watches.push_back(store->watch(std::string_view(prefix)));
        watches.push_back(store->watch(kvds::range{ prefix, {}, {} }));
        watches.push_back(store->watch({ {}, "user:", "user;" }));
        const auto scope = store->scope("user:");
        REQUIRE(scope);
        REQUIRE(store->set_batch({ { "a", "1" }, { "user:ada", "2" }, { "z", "3" } }));
        for (kvds::watch_c &watch : watches) {
            REQUIRE(watch);
            const auto change = watch.next();
            REQUIRE(change);
            CHECK(change->key == "user:ada");
            CHECK(change->last);
            CHECK_FALSE(watch.next(0ms));
        }
        kvds::watch_c users = (*scope)->watch("a");
        REQUIRE((*scope)->set("b", "1"));
        REQUIRE((*scope)->set("ada", "3"));
        CHECK(users.next()->key == "ada");

        CHECK_FALSE(store->watch(std::string(KVDS_MAX_KEY_LEN + 1, 'k')));
        CHECK(last_status() == status::invalid_argument);
        const auto snapshot = store->snapshot();
        REQUIRE(snapshot);
        CHECK_FALSE((*snapshot)->watch());
        CHECK(last_status() == status::unsupported);
    });
}

TEST_CASE("a loop over a watch waits for changes until the store is closed")
{
    for_every_backend([](const store_ref &store) {
        enum { COUNT = 1000 };
        kvds::watch_c watch = store->watch();
        std::thread writer([&] {
            for (int i = 0; i < COUNT; i++)
                if (!store->set(std::to_string(i), "1"))
                    std::abort();
            /* The last change is read before the store is closed, which ends the watch at once. */
            while (!store->exists("read"))
                std::this_thread::yield();
            if (!store->close())
                std::abort();
        });
        std::vector<std::string> keys;
        for (auto const &change : watch) {
            static_assert(std::is_same_v<decltype(change), const kvds::change &>);
            if (change.key == "read")
                continue;
            keys.emplace_back(change.key);
            if (keys.size() == COUNT)
                CHECK(store->set("read", "1"));
        }
        CHECK(last_status() == status::closed);
        writer.join();
        REQUIRE(keys.size() == COUNT);
        for (int i = 0; i < COUNT; i++)
            CHECK(keys[static_cast<std::size_t>(i)] == std::to_string(i));
        CHECK(watch.begin() == watch.end());
        CHECK_FALSE(watch.next());
        CHECK(last_status() == status::closed);

        /* A watch that cannot be created is an empty range, and says why. */
        for (auto const &change : store->watch())
            CHECK(change.key.empty());
        CHECK(last_status() == status::closed);
    });
}

TEST_CASE("a loop over a watch that it creates")
{
    for_every_backend([](const store_ref &store) {
        std::atomic<bool> found = false;
        std::thread writer([&] {
            for (int i = 0; !found; i++)
                if (!store->set("user:" + std::to_string(i), "1") || !store->set("other", "2"))
                    std::abort();
        });
        for (auto const &change : store->watch("user:")) {
            CHECK(change.key.substr(0, 5) == "user:");
            CHECK(change.value == "1");
            break;
        }
        found = true;
        writer.join();
    });
}

TEST_CASE("a watch is an input range")
{
    using iterator = kvds::watch_c::iterator;
    using traits = std::iterator_traits<iterator>;
    static_assert(std::is_same_v<traits::value_type, kvds::change>);
    static_assert(std::is_same_v<traits::reference, const kvds::change &>);
    static_assert(std::is_same_v<traits::iterator_category, std::input_iterator_tag>);
#if defined(__cpp_lib_ranges)
    static_assert(std::ranges::input_range<kvds::watch_c>);
    static_assert(std::input_iterator<iterator>);
#endif
    for_every_backend([](const store_ref &store) {
        kvds::watch_c watch = store->watch();
        REQUIRE(store->set("a", "1"));
        REQUIRE(store->set("b", "2"));
        REQUIRE(store->set("c", "3"));
        REQUIRE(store->set("d", "4"));
        auto at = watch.begin();
        CHECK(at != watch.end());
        CHECK(at->key == "a");
        CHECK((*at).value == "1");
        at++;
        CHECK(at->key == "b");
        const auto found =
            std::find_if(++at, watch.end(), [](const kvds::change &change) { return change.last; });
        CHECK(found->key == "c");
        /* Another loop continues after what was returned. */
        CHECK(watch.begin()->key == "d");
        CHECK_FALSE(watch.next(0ms));
    });
}

TEST_CASE("a loop ends when changes were missed, and another one continues")
{
    kvds::options_c options;
    REQUIRE(options.watch_buffer_bytes(4096));
    for_every_backend(
        [](const store_ref &store) {
            kvds::watch_c watch = store->watch();
            for (int i = 0; i < 20; i++)
                REQUIRE(store->set(std::to_string(i), std::string(1000, 'x')));
            for (auto const &change : watch)
                CHECK(change.key.empty());
            CHECK(last_status() == status::expired);
            contents copy = all(*store);
            CHECK(copy.size() == 20);

            REQUIRE(store->delete_prefix("1"));
            REQUIRE(store->set("end", ""));
            for (auto const &change : watch) {
                apply(change, copy);
                if (change.key == "end")
                    break;
            }
            CHECK(copy == all(*store));
        },
        options);
}

TEST_CASE("closing the store, and releasing it, ends a wait of another thread")
{
    for (const bool closes : { true, false }) {
        for_every_backend([&](store_ref &store) {
            kvds::watch_c watch = store->watch();
            std::thread waiter([&] {
                if (watch.next() || last_status() != status::closed)
                    std::abort();
            });
            std::this_thread::sleep_for(20ms);
            if (closes)
                CHECK(store->close());
            store.reset();
            waiter.join();
        });
    }
}

TEST_CASE("watches are moved, and not copied")
{
    static_assert(!std::is_copy_constructible_v<kvds::watch_c>);
    static_assert(!std::is_copy_assignable_v<kvds::watch_c>);
    static_assert(std::is_nothrow_move_constructible_v<kvds::watch_c>);
    static_assert(std::is_nothrow_move_assignable_v<kvds::watch_c>);
    static_assert(!std::is_convertible_v<kvds::watch_c, bool>);
    for_every_backend([](const store_ref &store) {
        kvds::watch_c watch = store->watch();
        REQUIRE(store->set("a", "1"));
        REQUIRE(store->set("b", "2"));
        CHECK(watch.next()->key == "a");
        kvds::watch_c moved = std::move(watch);
        CHECK(moved);
        CHECK(moved.next()->key == "b");
        CHECK_FALSE(watch);
        CHECK_FALSE(watch.next());
        CHECK(last_status() == status::invalid_argument);
        CHECK(watch.fd() == -1);
        CHECK(watch.begin() == watch.end());
        watch = std::move(moved);
        REQUIRE(store->set("c", "3"));
        CHECK(watch.next()->key == "c");
        watch = store->watch();
        CHECK_FALSE(watch.next(0ms));
    });
}

TEST_CASE("the descriptor of a watch")
{
    for_every_backend([](const store_ref &store) {
        kvds::watch_c watch = store->watch("a");
        const int descriptor = watch.fd();
        CHECK(descriptor > 2);
        CHECK(watch.fd() == descriptor);
        CHECK_FALSE(is_readable(descriptor));
        REQUIRE(store->set("b", "1"));
        CHECK_FALSE(is_readable(descriptor));
        REQUIRE(store->set("a", "1"));
        CHECK(is_readable(descriptor));
        CHECK(watch.next(0ms));
        CHECK_FALSE(watch.next(0ms));
        CHECK_FALSE(is_readable(descriptor));
        REQUIRE(store->close());
        CHECK(is_readable(descriptor));
    });
}

TEST_CASE("a watch continues after an earlier one")
{
    for_every_backend([](const store_ref &store) {
        kvds::watch_c first = store->watch();
        REQUIRE(store->set_batch({ { "a", "1" }, { "b", "2" } }));
        REQUIRE(store->set("c", "3"));
        auto change = first.next();
        while (change && !change->last)
            change = first.next();
        REQUIRE(change);
        const std::uint64_t sequence = change->sequence;
        kvds::watch_c second = store->watch_from(sequence);
        kvds::watch_c part = store->watch_from(sequence, { "d", {}, {} });
        REQUIRE(second);
        REQUIRE(part);
        first = kvds::watch_c(nullptr);
        REQUIRE(store->set("d", "4"));
        CHECK(second.next()->key == "c");
        CHECK(second.next()->key == "d");
        CHECK(part.next()->key == "d");
        CHECK_FALSE(store->watch_from(sequence + 1'000'000));
        CHECK(last_status() == status::expired);
        second = kvds::watch_c(nullptr);
        part = kvds::watch_c(nullptr);
        CHECK_FALSE(store->watch_from(sequence));
        CHECK(last_status() == status::expired);
    });
}

TEST_CASE("a copy that follows a store")
{
    for_every_backend([](const store_ref &store) {
        REQUIRE(store->set_batch({ { "a1", "1" }, { "a2", "2" }, { "b", "3" } }));
        kvds::watch_c watch = store->watch();
        contents copy = all(*store);
        REQUIRE(store->set("a1", "4"));
        REQUIRE(store->delete_prefix("a"));
        REQUIRE(store->set_ttl("due", "5", 1ms));
        REQUIRE(store->set_ttl("later", "6", 1h));
        REQUIRE(store->del("b"));
        REQUIRE(store->set("c", "7"));
        await_expiry(*store, "due");
        bool is_due = true;
        while (const auto change = watch.next(is_due ? kvds::forever : 0ms)) {
            apply(*change, copy);
            is_due = is_due && !(change->kind == change_kind::del && change->key == "due");
        }
        CHECK(copy == all(*store));
        CHECK(copy == contents{ { "c", "7" }, { "later", "6" } });
    });
}
