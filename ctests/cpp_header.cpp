/* The C++ header: every function of kvds.hpp, on every backend. */
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <kvds.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <list>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

using kvds::backend;
using kvds::last_status;
using kvds::status;

/* For messages of doctest. */
template <>
struct doctest::StringMaker<kvds::status> {
    static String convert(kvds::status status) { return kvds::to_string(status); }
};

using text_pairs = std::vector<std::pair<std::string, std::string>>;
using store_ref = kvds::shared_obj_c<kvds::store_c>;

namespace {

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

text_pairs all(kvds::scan_c scan)
{
    text_pairs pairs;
    for (auto [key, value] : scan)
        pairs.emplace_back(key, value);
    return pairs;
}

std::vector<backend> backends()
{
#ifdef KVDS_TEST_NO_DISK
    return { backend::memory };
#else
    return { backend::memory, backend::disk };
#endif
}

/* Runs a test on a new store of each backend. */
template <class Test>
void for_every_backend(Test test)
{
    for (const backend where : backends()) {
        CAPTURE(static_cast<int>(where));
        directory_c directory;
        kvds::distributor_c distributor(directory.path.string());
        REQUIRE(distributor);
        auto store = distributor.get_or_create("store", where);
        REQUIRE(store);
        test(**store, distributor, directory);
    }
}

} // namespace

TEST_CASE("names")
{
    CHECK(std::string(kvds::version()) == "0.1.0");
    CHECK(std::string(kvds::to_string(status::not_found)) == "KVDS_NOT_FOUND");
    CHECK(std::string(kvds::to_string(status::internal)) == "KVDS_INTERNAL");
    CHECK(std::string(kvds::to_string(status::expired)) == "KVDS_EXPIRED");
    static_assert(static_cast<kvds_status>(status::unknown_outcome) == KVDS_UNKNOWN_OUTCOME);
    static_assert(static_cast<kvds_status>(status::expired) == KVDS_EXPIRED);
    static_assert(static_cast<kvds_backend>(backend::cluster) == KVDS_CLUSTER);
}

TEST_CASE("reading and writing one key, as strings, views and literals")
{
    for_every_backend([](kvds::store_c &store, auto &, auto &) {
        const std::string key = "key", value = "value";
        std::string found = "as it was";
        CHECK_FALSE(store.get(key, found));
        CHECK(last_status() == status::not_found);
        CHECK(kvds::store_c::last_status() == status::not_found);
        CHECK(found == "as it was");
        CHECK_FALSE(store.exists(key));

        CHECK(store.set(key, value));
        CHECK(store.set("literal", "one"));
        CHECK(store.set(std::string_view("view"), value));
        CHECK(store.set(key + "2", "mixed"));
        CHECK(last_status() == status::ok);
        CHECK(store.get(key, found));
        CHECK(found == value);
        CHECK(store.get("literal", found));
        CHECK(found == "one");
        CHECK(store.get(std::string_view("view"), found));
        CHECK(store.get("key2") == "mixed");
        CHECK(store.get("absent") == std::nullopt);

        const kvds::store_c &reader = store;
        CHECK(reader.get(key, found));
        CHECK(reader.exists(key));
        CHECK(reader.exists("literal"));
        CHECK(reader.exists(std::string_view("view")));

        CHECK(store.del(key));
        CHECK_FALSE(store.del(key));
        CHECK(last_status() == status::not_found);
        CHECK(store.del("literal"));

        using namespace std::string_literals;
        const std::string zeros = "a\0b"s;
        CHECK(store.set(zeros, zeros));
        CHECK(store.get(zeros) == zeros);
        CHECK(store.set("", ""));
        CHECK(store.get("") == "");
    });
}

TEST_CASE("values outlive their key and their store; a buffer of the caller's")
{
    for_every_backend([](kvds::store_c &store, auto &, auto &) {
        const std::string large(100'000, 'x');
        REQUIRE(store.set("large", large));
        auto value = store.get_value("large");
        REQUIRE(value);
        kvds::value_c moved = std::move(*value);
        REQUIRE(store.del("large"));
        CHECK(moved.size() == large.size());
        CHECK(moved.view() == large);
        CHECK(moved.str() == large);
        CHECK(std::string_view(moved) == large);
        CHECK(value->size() == 0);
        moved = kvds::value_c();
        CHECK_FALSE(store.get_value("large"));

        REQUIRE(store.set_batch({ { "one", "1" }, { "two", "2" } }));
        auto one = store.get_value("one"), two = store.get_value("two");
        kvds::value_c &itself = *one;
        *one = std::move(itself);
        CHECK(one->view() == "1");
        *one = std::move(*two);
        CHECK(one->view() == "2");
        CHECK(two->size() == 0); /* the reference was released at once */

        REQUIRE(store.set("short", "abc"));
        std::array<char, 3> buffer{};
        std::size_t len = 0;
        CHECK(store.get_into("short", buffer.data(), buffer.size(), len));
        CHECK(std::string_view(buffer.data(), len) == "abc");
        CHECK_FALSE(store.get_into("short", buffer.data(), 2, len));
        CHECK(last_status() == status::truncated);
        CHECK(len == 3);
    });
}

TEST_CASE("conditional writes")
{
    for_every_backend([](kvds::store_c &store, auto &, auto &) {
        const std::string key = "lock", mine = "mine", other = "other";
        CHECK(store.set_nx(key, mine));
        CHECK_FALSE(store.set_nx("lock", "other"));
        CHECK(last_status() == status::exists);
        CHECK_FALSE(store.compare_and_swap(key, other, mine));
        CHECK(last_status() == status::mismatch);
        CHECK(store.compare_and_swap(key, mine, other));
        CHECK(store.compare_and_swap("lock", "other", mine));
        CHECK_FALSE(store.compare_and_swap("absent", "", ""));
        CHECK(last_status() == status::not_found);
        CHECK_FALSE(store.compare_and_delete("lock", "other"));
        CHECK(store.compare_and_delete("lock", "mine"));

        CHECK(store.add("counter", 40) == 40);
        CHECK(store.add("counter", 2) == 42);
        CHECK(store.get("counter") == "42");
        REQUIRE(store.set("word", "no number"));
        CHECK_FALSE(store.add("word", 1));
        CHECK(last_status() == status::invalid_argument);
        CHECK(std::string(kvds::last_error()).find("kvds_add") != std::string::npos);
    });
}

TEST_CASE("many keys")
{
    for_every_backend([](kvds::store_c &store, auto &, auto &) {
        CHECK(store.set_batch(std::map<std::string, std::string>{ { "a", "1" }, { "b", "2" } }));
        CHECK(store.set_batch({ { "c", "3" }, { "d", "4" }, { "d", "5" } }));
        CHECK(store.set_batch({ { "e", "6" } }));
        CHECK(store.set_batch(text_pairs{ { "f", "7" } }));
        CHECK(store.set_batch(text_pairs{}));
        CHECK(all(store.scan()) == text_pairs{ { "a", "1" },
                                               { "b", "2" },
                                               { "c", "3" },
                                               { "d", "5" },
                                               { "e", "6" },
                                               { "f", "7" } });

        const auto values = store.multi_get({ "a", "absent", "d" });
        REQUIRE(values);
        REQUIRE(values->size() == 3);
        CHECK((*values)[0]->view() == "1");
        CHECK_FALSE((*values)[1]);
        CHECK((*values)[2]->view() == "5");
        CHECK(store.multi_get(std::list<std::string>{ "f" })->front()->view() == "7");
        CHECK_FALSE(
            store.multi_get(std::vector<std::string>{ std::string(KVDS_MAX_KEY_LEN + 1, 'k') }));
        CHECK(last_status() == status::invalid_argument);

        CHECK(store.delete_batch(std::vector<std::string>{ "a", "absent" }));
        CHECK(store.delete_batch({ "b", "c" }));
        CHECK(store.delete_batch({ "absent" }));
        CHECK(store.delete_batch(std::set<std::string_view>{ "d" }));
        CHECK(all(store.scan()) == text_pairs{ { "e", "6" }, { "f", "7" } });
        CHECK(store.delete_prefix("e"));
        CHECK(all(store.scan()) == text_pairs{ { "f", "7" } });
    });
}

/* C would cut a text at its zero, and create or destroy "a" instead of "a\0b". */
TEST_CASE("texts with a zero are refused where C has no length for them")
{
    using namespace std::string_literals;
    for_every_backend(
        [](kvds::store_c &store, kvds::distributor_c &distributor, directory_c &directory) {
            const std::string zero = "store\0"s;
            CHECK_FALSE(distributor.get_or_create(zero, store.backend()));
            CHECK(last_status() == status::invalid_argument);
            CHECK_FALSE(distributor.get(zero, store.backend()));
            CHECK_FALSE(distributor.evict(zero, store.backend()));
            CHECK(last_status() == status::invalid_argument);
            CHECK_FALSE(distributor.destroy_store(zero));
            CHECK(last_status() != status::busy); /* what the call returns for "store" */
            CHECK_FALSE(distributor.destroy(zero, store.backend()));
            CHECK(last_status() == status::invalid_argument);
            CHECK_FALSE(store.property("kvds.keys\0"s));
            CHECK_FALSE(store.checkpoint((directory.path / "copy").string() + zero));
            CHECK_FALSE(kvds::distributor_c(directory.path.string() + zero));
        });
    CHECK_FALSE(kvds::options_c().set("durability", "sync\0"s));
    CHECK_FALSE(kvds::options_c().set("durability\0"s, "sync"));
    CHECK_FALSE(kvds::options_c().cluster("etcd://h\0"s));
    CHECK_FALSE(kvds::options_c().cluster_tls("ca\0"s));
    CHECK_FALSE(kvds::options_c().cluster_login("user", "password\0"s));
}

TEST_CASE("batches with expectations")
{
    for_every_backend([](kvds::store_c &store, auto &, auto &) {
        REQUIRE(store.set("from", "10"));
        kvds::batch_c batch;
        CHECK(batch.expect("from", "10"));
        CHECK(batch.expect_absent("to"));
        CHECK(batch.set("to", "10"));
        CHECK(batch.del("from"));
        CHECK(batch.count() == 2);
        CHECK(store.write(batch));
        CHECK(all(store.scan()) == text_pairs{ { "to", "10" } });
        CHECK_FALSE(store.write(batch));
        CHECK(last_status() == status::mismatch);
        kvds::batch_c moved = std::move(batch);
        moved.clear();
        CHECK(moved.count() == 0);
        CHECK(store.write(moved));
        CHECK_FALSE(moved.set(std::string(KVDS_MAX_KEY_LEN + 1, 'k'), ""));
        CHECK(last_status() == status::invalid_argument);
    });
}

/* Every function is called here; cpp_expiry_watch.cpp has the details. */
TEST_CASE("times to live and watches")
{
    using namespace std::chrono_literals;
    for_every_backend([](kvds::store_c &store, auto &, auto &) {
        kvds::watch_c watch = store.watch();
        REQUIRE(watch);
        CHECK(watch.fd() > 2);
        CHECK(store.set_ttl("a", "1", 1h));
        CHECK(store.set_nx_ttl("b", "2", 1h));
        CHECK(store.expire("a", 0ms));
        kvds::batch_c batch;
        CHECK(batch.set_ttl("c", "3", 1h));
        CHECK(batch.expire("b", kvds::forever));
        CHECK(store.write(batch));
        CHECK(store.ttl("a") == kvds::forever);
        CHECK(store.ttl("b") == kvds::forever);
        CHECK(store.ttl("c") > 1min);
        CHECK_FALSE(store.ttl("d"));
        CHECK(last_status() == status::not_found);

        const auto change = watch.next();
        REQUIRE(change);
        CHECK(change->key == "a");
        CHECK(store.watch_from(change->sequence));
        CHECK_FALSE(store.watch_from(0));
        CHECK(last_status() == status::expired);
    });
}

TEST_CASE("iterating with callbacks of every kind")
{
    for_every_backend([](kvds::store_c &store, auto &, auto &) {
        REQUIRE(store.set_batch(
            { { "a", "1" }, { "user:ada", "2" }, { "user:bob", "3" }, { "z", "4" } }));
        const text_pairs users{ { "user:ada", "2" }, { "user:bob", "3" } };
        text_pairs seen;
        CHECK(store.iterate("user:", [&](std::string_view key, std::string_view value) {
            seen.emplace_back(key, value);
            return true;
        }));
        CHECK(last_status() == status::ok);
        CHECK(seen == users);

        seen.clear();
        store.iterate("user:", [&](const std::string &key, const std::string &value) {
            seen.emplace_back(key, value);
            return true;
        });
        CHECK(seen == users);

        seen.clear();
        const std::function<bool(const std::string &, const std::string &)> function =
            [&](auto &key, auto &value) {
                seen.emplace_back(key, value);
                return false;
            };
        store.iterate(std::string("user:"), function);
        CHECK(last_status() == status::stopped);
        CHECK(seen == text_pairs{ { "user:ada", "2" } });

        CHECK(store.iterate("", [&](auto, auto) { return false; }));
        CHECK(last_status() == status::stopped);

        /* Nested iterations that write. */
        int pairs = 0;
        store.iterate("", [&](auto key, auto) {
            store.iterate("", [&](auto inner, auto) {
                REQUIRE(store.set(std::string(key) + std::string(inner), ""));
                pairs++;
                return true;
            });
            return pairs < 100;
        });
        CHECK(pairs > 4 * 4);
    });
}

TEST_CASE("an exception that a callback throws stops the iteration and reaches its caller")
{
    for_every_backend([](kvds::store_c &store, kvds::distributor_c &distributor, auto &) {
        REQUIRE(store.set_batch({ { "a", "1" }, { "b", "2" } }));
        int calls = 0;
        const auto thrower = [&](auto, auto) -> bool {
            calls++;
            throw std::runtime_error("out");
        };
        CHECK_THROWS_WITH_AS(store.iterate("", thrower), "out", std::runtime_error);
        CHECK(calls == 1);
        CHECK(last_status() == status::stopped);
        CHECK_THROWS_WITH_AS(store.iterate("",
                                           [](const std::string &, const std::string &) -> bool {
                                               throw std::runtime_error("through a std::function");
                                           }),
                             "through a std::function", std::runtime_error);
        CHECK_THROWS_AS(distributor.for_each([](auto...) -> bool { throw 1; }), int);

        /* Thrown in a nested iteration, through the outer one. */
        CHECK_THROWS_AS(store.iterate("", [&](auto, auto) { return store.iterate("", thrower); }),
                        std::runtime_error);
        CHECK(store.set("a", "still usable"));
    });
}

TEST_CASE("scans and cursors")
{
    for_every_backend([](kvds::store_c &store, auto &, auto &) {
        REQUIRE(store.set_batch(
            { { "a", "1" }, { "b", "2" }, { "c1", "3" }, { "c2", "4" }, { "d", "5" } }));
        CHECK(all(store.scan("c")) == text_pairs{ { "c1", "3" }, { "c2", "4" } });
        CHECK(last_status() == status::not_found);
        kvds::range range;
        range.start = "b";
        range.end = "c2";
        CHECK(all(store.scan(range)) == text_pairs{ { "b", "2" }, { "c1", "3" } });
        CHECK(all(store.scan({ "c" })) == all(store.scan(std::string("c"))));
        CHECK(all(store.scan({ "c", "c2" })) == text_pairs{ { "c2", "4" } });
        CHECK(all(store.scan({})).size() == 5);
        CHECK(all(store.scan("none")).empty());

        /* The loop reads a snapshot, whatever it writes. */
        int seen = 0;
        for (auto [key, value] : store.scan()) {
            REQUIRE(store.set(std::string(key) + "x", value));
            seen++;
        }
        CHECK(seen == 5);

        auto scan = store.scan("c1");
        CHECK(std::distance(scan.begin(), scan.end()) == 2);
        CHECK(std::distance(scan.begin(), scan.end()) == 2);

        auto cursor = store.cursor(range);
        REQUIRE(cursor);
        CHECK_FALSE(cursor->valid());
        CHECK(cursor->key().empty());
        CHECK(last_status() == status::not_found);
        CHECK(cursor->last());
        CHECK(cursor->key() == "c1x");
        CHECK(cursor->value() == "3");
        CHECK(cursor->ttl() == kvds::forever);
        CHECK(cursor->prev());
        CHECK(cursor->key() == "c1");
        CHECK(cursor->first());
        CHECK(cursor->key() == "b");
        CHECK(cursor->next());
        CHECK(cursor->key() == "bx");
        CHECK(cursor->seek("c"));
        CHECK(cursor->key() == "c1");
        CHECK(cursor->valid());
        CHECK_FALSE(cursor->seek("zzz"));

        REQUIRE(store.close());
        CHECK_FALSE(store.cursor());
        CHECK(last_status() == status::closed);
        CHECK(all(store.scan()).empty());
        CHECK(last_status() == status::closed);
        CHECK(cursor->first());
    });
}

TEST_CASE("views")
{
    for_every_backend([](kvds::store_c &store, auto &, auto &) {
        REQUIRE(store.set_batch({ { "user:ada", "1" }, { "user:bob", "2" }, { "x", "3" } }));
        const auto reader = store.view(kvds::rights::read);
        REQUIRE(reader);
        CHECK((*reader)->get("x") == "3");
        CHECK_FALSE((*reader)->set("x", "4"));
        CHECK(last_status() == status::denied);
        const auto writer = store.view(kvds::rights::write);
        REQUIRE(writer);
        CHECK((*writer)->set("x", "4"));
        CHECK_FALSE((*writer)->exists("x"));
        CHECK(last_status() == status::denied);
        const auto both = store.view(kvds::rights::read_write);
        REQUIRE(both);
        CHECK((*both)->set("x", "5"));
        CHECK((*both)->get("x") == "5");
        CHECK_FALSE(store.view(static_cast<kvds::rights>(0)));

        const auto users = store.scope("user:");
        REQUIRE(users);
        CHECK(all((*users)->scan()) == text_pairs{ { "ada", "1" }, { "bob", "2" } });
        CHECK((*users)->set("eve", "6"));
        CHECK(store.get("user:eve") == "6");

        const auto then = (*users)->snapshot();
        REQUIRE(then);
        CHECK(store.delete_prefix(""));
        CHECK((*then)->get("ada") == "1");
        CHECK_FALSE((*users)->exists("ada"));
        CHECK(*then != *users);
        CHECK(store.refCount() == 1 + 4); /* views of views share the store */
    });
}

TEST_CASE("durability, maintenance and statistics")
{
    for_every_backend([](kvds::store_c &store, auto &, directory_c &directory) {
        REQUIRE(store.set("a", "1"));
        REQUIRE(store.get("a"));
        CHECK(store.sync());
        CHECK(store.compact());
        CHECK(store.refresh());
        const auto stats = store.stats();
        REQUIRE(stats);
        CHECK(stats->reads == 1);
        CHECK(stats->hits == 1);
        CHECK(store.property("kvds.reads") == "1");
        CHECK_FALSE(store.property("unheard-of"));
        CHECK(last_status() == status::not_found);
#ifndef KVDS_TEST_NO_DISK
        const std::string copy = (directory.path / "copies" / "copy").string();
        REQUIRE(store.checkpoint(copy));
        kvds::distributor_c other((directory.path / "copies").string());
        const auto copied = other.get_or_create("copy", backend::disk);
        REQUIRE(copied);
        CHECK((*copied)->get("a") == "1");
#else
        CHECK_FALSE(store.checkpoint((directory.path / "copy").string()));
#endif
    });
}

TEST_CASE("damaged stores")
{
    directory_c directory;
    const std::string path = (directory.path / "store").string();
    const std::string target = (directory.path / "target").string();
    std::vector<std::string> files;
    const auto note = [&](const kvds::damage *damage, std::uint64_t done, std::uint64_t total) {
        CHECK(done <= total);
        if (damage) {
            CHECK_FALSE(damage->problem.empty());
            CHECK(damage->loss == kvds::loss::pairs);
            CHECK_FALSE(damage->first);
            CHECK_FALSE(damage->last);
            files.emplace_back(damage->file);
        }
        return true;
    };
#ifdef KVDS_TEST_NO_DISK
    CHECK_FALSE(kvds::verify(path, note));
    CHECK(last_status() == status::unsupported);
    CHECK_FALSE(kvds::salvage(path, target, note));
    CHECK(last_status() == status::unsupported);
#else
    CHECK_FALSE(kvds::verify(path, note));
    CHECK(last_status() == status::not_found);
    {
        const auto store = kvds::store_c::open(path);
        REQUIRE(store);
        CHECK((*store)->set("a", "1"));
        CHECK((*store)->set("b", "2"));
    }
    kvds::options_c options;
    CHECK(kvds::verify(path, note, &options));
    CHECK(last_status() == status::ok);
    CHECK(files.empty());
    CHECK(kvds::verify(path, [](auto...) { return false; }));
    CHECK(last_status() == status::stopped);
    CHECK_THROWS_AS(kvds::verify(path, [](auto...) -> bool { throw 1; }), int);
    CHECK_FALSE(kvds::salvage(path, target, [](auto...) { return false; }));
    CHECK(last_status() == status::stopped);

    /* The log loses a byte of its first record. */
    std::filesystem::path log;
    for (const auto &entry : std::filesystem::directory_iterator(path))
        if (entry.path().extension() == ".log")
            log = entry.path();
    std::fstream bytes(log, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekp(8);
    bytes.put('?');
    bytes.close();
    CHECK_FALSE(kvds::verify(path, note));
    CHECK(last_status() == status::corruption);
    CHECK(files == std::vector<std::string>{ log.string() });
    const auto saved = kvds::salvage(path, target, note, &options);
    REQUIRE(saved);
    CHECK(saved->pairs == 0);
    CHECK(files.size() == 2);
    CHECK(kvds::store_c::open(target));
    const kvds::options_c moved = std::move(options);
    CHECK_FALSE(kvds::verify(path, note, &options));
    CHECK_FALSE(kvds::salvage(path, target, note, &options));
    CHECK(last_status() == status::invalid_argument);
#endif
}

TEST_CASE("distributors: names, counts, closing")
{
    for (const backend where : backends()) {
        directory_c directory;
        kvds::distributor_c distributor(directory.path.string());
        REQUIRE(distributor);
        CHECK_FALSE(distributor.get("a", where));
        CHECK(last_status() == status::not_found);
        auto a = distributor.get_or_create("a", where);
        auto b = distributor.get_or_create("b", where);
        REQUIRE(a);
        REQUIRE(b);
        CHECK(distributor.get_or_create("a", where) == a);
        CHECK(distributor.get("a", where) == a);
        CHECK(*a != *b);
        CHECK(distributor.store_count() == 2);
        CHECK((*a)->id() == std::string("a"));
        CHECK((*a)->backend() == where);
        CHECK((*a)->tag() == 0);
        CHECK((*b)->tag() == 1);
        std::vector<std::string> ids;
        CHECK(distributor.for_each(
            [&](std::string_view id, backend found, std::uint64_t tag, std::int64_t count) {
                CHECK(found == where);
                CHECK(tag == ids.size());
                CHECK(count == 1);
                ids.emplace_back(id);
                return true;
            }));
        CHECK(ids == std::vector<std::string>{ "a", "b" });

        CHECK((*a)->is_open());
        CHECK((*a)->close());
        CHECK_FALSE((*a)->is_open());
        CHECK_FALSE((*a)->close());
        CHECK(last_status() == status::closed);
        CHECK_FALSE((*a)->set("k", "v"));
        CHECK(last_status() == status::closed);
        a.reset();

        CHECK(distributor.refCount() == 1);
        kvds::distributor_c same = distributor;
        CHECK(same.handle() == distributor.handle());
        CHECK(distributor.refCount() == 2);
        kvds::distributor_c moved = std::move(same);
        CHECK_FALSE(same);
        moved = kvds::distributor_c();
        CHECK(distributor.refCount() == 1);

        if (where == backend::disk) {
            CHECK_FALSE(distributor.destroy_store("b"));
            CHECK(last_status() == status::busy);
            b.reset();
            CHECK(distributor.destroy_store("b"));
        } else {
            CHECK_FALSE(distributor.destroy_store("none"));
        }
        CHECK_FALSE(distributor.destroy("none", where));
        CHECK(last_status() == status::not_found);
        REQUIRE(distributor.get_or_create("c", where));
        CHECK(distributor.destroy("c", where) == (where == backend::disk));
        const auto live = distributor.get_or_create("c", where);
        CHECK_FALSE(distributor.destroy("c", where));
        CHECK(last_status() == status::busy);
        CHECK(distributor.shutdown());
        CHECK_FALSE(distributor.get_or_create("a", where));
        CHECK(distributor.last_status() == status::closed);
    }
    kvds::distributor_c memory_only;
    CHECK_FALSE(memory_only.get_or_create("a", backend::disk));
    CHECK(last_status() != status::ok);
    CHECK_FALSE(memory_only.get_or_create("", backend::memory));
    CHECK(last_status() == status::invalid_argument);
    CHECK_FALSE(kvds::distributor_c("\xff"));
    CHECK(last_status() == status::invalid_argument);
}

TEST_CASE("options")
{
    kvds::options_c options;
    CHECK(options.set("durability", "sync"));
    CHECK_FALSE(options.set("unheard-of", "1"));
    CHECK(last_status() == status::invalid_argument);
    CHECK(options.durability(kvds::durability::none));
    CHECK(options.block_cache_bytes(8 << 20));
    CHECK(options.write_buffer_bytes(8 << 20));
    CHECK_FALSE(options.block_cache_bytes(0));
    CHECK(options.compression(kvds::compression::zstd));
    CHECK(options.max_open_files(64));
    CHECK(options.watch_buffer_bytes(1 << 20));
    CHECK_FALSE(options.watch_buffer_bytes(0));
    CHECK(options.create_if_missing(true));
    CHECK(options.read_only(false));
    CHECK(options.memory_limit_bytes(10'000));
    CHECK(options.keep_stores(true));
    for (const backend where : backends()) {
        directory_c directory;
        kvds::distributor_c distributor(directory.path.string(), options);
        REQUIRE(distributor);
        auto store = distributor.get_or_create("kept", where);
        REQUIRE(store);
        CHECK((*store)->set("a", "1") == true);
        if (where == backend::memory) {
            CHECK_FALSE((*store)->set("b", std::string(20'000, 'x')));
            CHECK(last_status() == status::no_memory);
        }
        CHECK((*store)->refCount() == 2);
        store.reset();
        REQUIRE(distributor.get("kept", where));
        CHECK(distributor.evict("kept", where));
        CHECK_FALSE(distributor.evict("kept", where));
        CHECK(distributor.store_count() == 0);
    }
    CHECK_FALSE(kvds::distributor_c("\xff", options));
    CHECK(last_status() == status::invalid_argument);
}

TEST_CASE("options of clusters")
{
    kvds::distributor_c no_cluster;
    CHECK_FALSE(no_cluster.get_or_create("a", backend::cluster));
    CHECK_FALSE(no_cluster.destroy("a", backend::cluster));
#ifdef KVDS_TEST_NO_CLUSTER
    CHECK(last_status() == status::unsupported);
#else
    CHECK(last_status() == status::invalid_argument);
#endif
    kvds::options_c options;
    CHECK(options.cluster("etcd://one:2379,two/namespace"));
    CHECK(options.cluster_tls("ca.pem"));
    CHECK(options.cluster_tls("ca.pem", "cert.pem", "key.pem"));
    CHECK(options.cluster_login("user", "password"));
    CHECK(options.cluster_timeout_ms(500));
    CHECK_FALSE(options.cluster_timeout_ms(99));
    CHECK(last_status() == status::invalid_argument);
    // Nothing is connected yet.
    CHECK(kvds::distributor_c("", options));
}

TEST_CASE("options that were moved from are an error, and not the defaults")
{
    kvds::options_c options;
    CHECK(options.read_only(true));
    const kvds::options_c moved = std::move(options);
    CHECK_FALSE(kvds::distributor_c("", options));
    CHECK(last_status() == status::invalid_argument);
    CHECK(kvds::distributor_c("", moved));
}

TEST_CASE("a disk store opened by its path, without a distributor")
{
    const directory_c directory;
    const std::string path = directory.path / "exactly this";
    kvds::options_c options;
    REQUIRE(options.create_if_missing(false));
    CHECK_FALSE(kvds::store_c::open(path, options));
#ifdef KVDS_TEST_NO_DISK
    CHECK(kvds::last_status() == kvds::status::unsupported);
    CHECK_FALSE(kvds::store_c::open(path));
#else
    CHECK(kvds::last_status() == kvds::status::not_found);
    auto store = kvds::store_c::open(path);
    REQUIRE(store);
    CHECK((*store)->id() == path);
    CHECK((*store)->backend() == kvds::backend::disk);
    CHECK((*store)->refCount() == 1);
    CHECK((*store)->set("k", "v"));
    CHECK(std::filesystem::exists(directory.path / "exactly this" / "CURRENT"));
    CHECK_FALSE(kvds::store_c::open(path));
    CHECK(kvds::last_status() == kvds::status::locked);
    store.reset();
    store = kvds::store_c::open(path, options);
    REQUIRE(store);
    CHECK((*store)->exists("k"));
#endif
    const kvds::options_c moved = std::move(options);
    for (const std::string &refused :
         { std::string(), std::string("a\0b", 3), std::string("\xff") }) {
        CHECK_FALSE(kvds::store_c::open(refused));
        CHECK(kvds::last_status() == kvds::status::invalid_argument);
        CHECK_FALSE(kvds::store_c::open(refused, moved));
    }
    CHECK_FALSE(kvds::store_c::open(path, options)); // NOLINT(bugprone-use-after-move)
    CHECK(kvds::last_status() == kvds::status::invalid_argument);
}

TEST_CASE("observers of death")
{
    class tags_c : public kvds::lifetime_tagged_c::observer_if {
    public:
        void death_ind(const std::size_t tag) override { tags.push_back(tag); }
        std::vector<std::size_t> tags;
    };
    for (const backend where : backends()) {
        directory_c directory;
        kvds::distributor_c distributor(directory.path.string());
        std::vector<std::string> dead;
        tags_c tags;
        auto witness = std::make_shared<int>(0);
        const auto by_function = distributor.observe(
            [&dead, &distributor, witness](std::uint64_t, std::string_view id, backend found) {
                dead.emplace_back(id);
                /* The name can be used again. */
                CHECK_FALSE(distributor.get(std::string(id), found));
            });
        const auto by_object = distributor.observe(tags);
        REQUIRE(by_function);
        REQUIRE(by_object);
        auto a = distributor.get_or_create("a", where);
        auto b = distributor.get_or_create("b", where);
        REQUIRE(a);
        auto again = *a;
        a.reset();
        CHECK(dead.empty());
        again = store_ref();
        CHECK(dead == std::vector<std::string>{ "a" });
        CHECK(tags.tags == std::vector<std::size_t>{ 0 });
        CHECK(witness.use_count() == 2);
        CHECK(distributor.unobserve(*by_function));
        CHECK(witness.use_count() == 1);
        CHECK_FALSE(distributor.unobserve(*by_function));
        b.reset();
        CHECK(dead.size() == 1);
        CHECK(tags.tags == std::vector<std::size_t>{ 0, 1 });
        CHECK(distributor.unobserve(*by_object));

        /* An empty function is an error here. It would end the program when a store dies. */
        CHECK_FALSE(distributor.observe(kvds::distributor_c::on_death()));
        CHECK(last_status() == status::invalid_argument);
    }
}

TEST_CASE("the log")
{
    class lines_c : public kvds::log_if {
    public:
        void line(kvds::log_level, std::string_view text) override
        {
            const std::lock_guard<std::mutex> lock(mutex);
            lines.emplace_back(text);
        }
        bool some()
        {
            const std::lock_guard<std::mutex> lock(mutex);
            return !lines.empty();
        }
        std::mutex mutex;
        std::vector<std::string> lines;
    } lines;
    CHECK_FALSE(kvds::set_log_callback(static_cast<kvds::log_level>(9), &lines));
    REQUIRE(kvds::set_log_callback(kvds::log_level::debug, &lines));
    for_every_backend([](kvds::store_c &store, auto &, auto &) { REQUIRE(store.set("a", "1")); });
#ifndef KVDS_TEST_NO_DISK
    while (!lines.some())
        std::this_thread::yield();
#endif
    CHECK(kvds::set_log_callback(kvds::log_level::error, nullptr));
}

TEST_CASE("last_status belongs to the thread")
{
    for_every_backend([](kvds::store_c &store, auto &, auto &) {
        CHECK(store.set("a", "1"));
        std::thread([&] {
            CHECK_FALSE(store.exists("b"));
            CHECK(last_status() == status::not_found);
        }).join();
        CHECK(last_status() == status::ok);
    });
}
