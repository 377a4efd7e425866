/* References, lifetimes, and store classes of programs behind kv_c. */
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <kvds.hpp>

#include <cstdlib>
#include <set>
#include <thread>
#include <unordered_set>

namespace {

int scaled(int count)
{
    const char *percent = std::getenv("KVDS_TEST_SCALE");
    return percent ? count * std::atoi(percent) / 100 : count;
}

class counted_c : public kvds::shared_c {
public:
    explicit counted_c(int &alive) : alive_(alive) { alive_++; }
    ~counted_c() override { alive_--; }
    int number = 7;

private:
    int &alive_;
};

using counted = kvds::shared_obj_c<counted_c>;
using store_ref = kvds::shared_obj_c<kvds::store_c>;

/* A store class of a program. */
class host_store_c : public kvds::kv_c {
public:
    bool is_open() const override { return true; }
    bool get(const std::string &key, std::string &value) override
    {
        const auto found = data_.find(key);
        if (found != data_.end())
            value = found->second;
        return found != data_.end();
    }
    bool exists(const std::string &key) const override { return data_.count(key) == 1; }
    void iterate(const std::string &prefix,
                 std::function<bool(const std::string &key, const std::string &value)> callback)
        const override
    {
        for (auto at = data_.lower_bound(prefix);
             at != data_.end() && at->first.rfind(prefix, 0) == 0; ++at)
            if (!callback(at->first, at->second))
                return;
    }
    bool set(const std::string &key, const std::string &value) override
    {
        data_[key] = value;
        return true;
    }
    bool del(const std::string &key) override { return data_.erase(key) == 1; }
    bool set_batch(const std::map<std::string, std::string> &pairs) override
    {
        for (const auto &[key, value] : pairs)
            data_[key] = value;
        return true;
    }
    bool delete_batch(const std::vector<std::string> &keys) override
    {
        for (const auto &key : keys)
            data_.erase(key);
        return true;
    }
    bool set_nx(const std::string &key, const std::string &value) override
    {
        return data_.emplace(key, value).second;
    }
    bool compare_and_swap(const std::string &key, const std::string &expected,
                          const std::string &value) override
    {
        const auto found = data_.find(key);
        if (found == data_.end() || found->second != expected)
            return false;
        found->second = value;
        return true;
    }

private:
    std::map<std::string, std::string> data_;
};

/* Uses any store. */
void use(kvds::kv_c &store)
{
    std::string value;
    CHECK(store.is_open());
    CHECK(store.set("k", "1"));
    CHECK(store.get("k", value));
    CHECK(value == "1");
    CHECK_FALSE(store.set_nx("k", "2"));
    CHECK(store.compare_and_swap("k", "1", "2"));
    CHECK_FALSE(store.compare_and_swap("k", "1", "3"));
    CHECK(store.set_batch({ { "l", "3" }, { "m", "4" } }));
    int seen = 0;
    store.iterate("", [&](const std::string &, const std::string &) { return ++seen < 2; });
    CHECK(seen == 2);
    CHECK(store.delete_batch({ "l", "absent" }));
    CHECK(store.del("m"));
    CHECK_FALSE(store.del("m"));
    CHECK(store.exists("k"));
}

template <class A, class B, class = void>
struct are_comparable : std::false_type {};
template <class A, class B>
struct are_comparable<A, B, std::void_t<decltype(std::declval<A>() == std::declval<B>())>>
    : std::true_type {};

/* Containers whose iterators create the texts. Views of these would dangle. */
struct makes_texts {
    struct iterator {
        std::string operator*() const { return "made"; }
    };
    iterator begin() const { return {}; }
};

} // namespace

TEST_CASE("a reference converts to bool and not to a number")
{
    static_assert(std::is_convertible_v<counted, bool> && std::is_convertible_v<store_ref, bool>);
    static_assert(!std::is_convertible_v<counted, int> && !std::is_convertible_v<store_ref, int>);
    static_assert(are_comparable<counted, counted>::value &&
                  are_comparable<store_ref, std::nullptr_t>::value);
    static_assert(!are_comparable<counted, store_ref>::value);
    const store_ref none;
    const bool some = none;
    CHECK_FALSE(some);
    CHECK(none == nullptr);
}

/* The members that a reference shares with std::shared_ptr. */
template <class Reference>
static void is_used_as_a_shared_ptr(Reference a, Reference b)
{
    REQUIRE(a.use_count() == 1);
    const Reference same = a;
    CHECK(a.use_count() == 2);
    CHECK(Reference().use_count() == 0);
    static_assert(std::is_same_v<decltype(a.get()), typename Reference::element_type *>);

    /* All were once equal, because they were compared as bool. */
    CHECK((a < b) != (b < a));
    CHECK((a > b) == (b < a));
    CHECK((a <= b) == (a < b));
    CHECK((a >= b) == (b < a));
    CHECK_FALSE((a < same || same < a));
    CHECK((a <= same && a >= same));
    CHECK(a.owner_before(b) == (a < b));
    CHECK(std::set<Reference>{ a, b, same, Reference() }.size() == 3);
    CHECK(std::unordered_set<Reference>{ a, b, same, Reference() }.size() == 3);

    Reference other = b;
    using std::swap;
    swap(a, other);
    CHECK((a == b && other == same));
    a.swap(other);
    CHECK((a == same && other == b));
    a.reset(b.get());
    CHECK(a == b);
    CHECK(b.use_count() == 3);
    CHECK(same.use_count() == 1);
    other.reset();
    CHECK(other == nullptr);
    a.reset();
    CHECK_FALSE(a);
    CHECK(b.use_count() == 1);
}

TEST_CASE("members that a reference shares with std::shared_ptr")
{
    int alive = 0;
    is_used_as_a_shared_ptr(kvds::make_shared<counted_c>(alive),
                            kvds::make_shared<counted_c>(alive));
    CHECK(alive == 0);
    kvds::distributor_c distributor;
    is_used_as_a_shared_ptr(distributor.get_or_create("a", kvds::backend::memory).value(),
                            distributor.get_or_create("b", kvds::backend::memory).value());
    CHECK(distributor.store_count() == 0);

    const counted a = kvds::make_shared<counted_c>(alive), b = kvds::make_shared<counted_c>(alive);
    const std::shared_ptr<kvds::shared_c> held = a;
    CHECK((a == held && held == a && b != held && held != b));
}

TEST_CASE("texts must be in their container")
{
    static_assert(kvds::detail::keeps_texts<std::vector<std::string>>);
    static_assert(kvds::detail::keeps_texts<std::initializer_list<std::string_view>>);
    static_assert(!kvds::detail::keeps_texts<makes_texts>);
}

TEST_CASE("an object lives as long as its references")
{
    int alive = 0;
    {
        counted a = kvds::make_shared<counted_c>(alive);
        CHECK(a);
        CHECK(alive == 1);
        CHECK(a->refCount() == 1);
        counted b = a, c, d = std::move(b);
        CHECK_FALSE(b);
        CHECK_FALSE(c);
        CHECK(c.get() == nullptr);
        CHECK(a == d);
        CHECK(a != c);
        CHECK(a->refCount() == 2);
        c = a;
        const counted &itself = c;
        c = itself;
        CHECK((*c).number == 7);
        CHECK(c.ptr() == a.get());
        CHECK(a->refCount() == 3);
        a = counted();
        d = a;
        CHECK(c->refCount() == 1);
        CHECK(alive == 1);

        const std::shared_ptr<kvds::shared_c> standard = c;
        CHECK(c->refCount() == 2);
        c = counted();
        CHECK(alive == 1);
        CHECK(std::shared_ptr<counted_c>(counted()) == nullptr);
    }
    CHECK(alive == 0);
    const counted_c *acquired = new counted_c(alive);
    CHECK(acquired->acquire() == acquired);
    CHECK(acquired->refCount() == 1);
    CHECK(acquired->release() == 0);
    delete acquired;
}

TEST_CASE("std::make_shared is not replaced by kvds::make_shared")
{
    using namespace std;
    using namespace kvds;
    CHECK(*make_shared<int>(5) == 5);
    /* Argument-dependent lookup must not find kvds::make_shared. */
    CHECK(make_shared<std::optional<distributor_c>>(distributor_c())->has_value());
}

TEST_CASE("reference counts are correct with many threads")
{
    int alive = 0;
    kvds::distributor_c distributor;
    auto store = distributor.get_or_create("s", kvds::backend::memory);
    REQUIRE(store);
    {
        const counted shared = kvds::make_shared<counted_c>(alive);
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++)
            threads.emplace_back([&] {
                for (int i = scaled(20'000); i > 0; i--) {
                    const counted copy = shared;
                    const store_ref held = *store;
                }
            });
        for (auto &thread : threads)
            thread.join();
        CHECK(shared->refCount() == 1);
        CHECK((*store)->refCount() == 1);
    }
    CHECK(alive == 0);
}

TEST_CASE("a reference to a store counts in the library")
{
    kvds::distributor_c distributor;
    store_ref a = *distributor.get_or_create("s", kvds::backend::memory);
    CHECK(a->refCount() == 1);
    store_ref b = a, c;
    CHECK(kvds_store_ref_count(b.handle()) == 2);
    CHECK(a == b);
    CHECK(a != c);
    CHECK(c.get() == nullptr);
    CHECK(c.ptr() == nullptr);
    CHECK_FALSE(c);
    c = b;
    CHECK(a->refCount() == 3);
    c = std::move(b);
    CHECK_FALSE(b);
    CHECK(a->refCount() == 2);
    CHECK((*c).set("k", "v"));

    CHECK(a->acquire() == a.get());
    CHECK(a->refCount() == 3);
    CHECK(a->release() == 2);
    store_ref from_pointer(c.get());
    CHECK(a->refCount() == 3);
    from_pointer = store_ref();

    /* To the C interface and back. */
    store_ref adopted = store_ref::adopt(kvds_store_retain(a.handle()));
    CHECK(adopted == a);
    CHECK(a->refCount() == 3);
    CHECK_FALSE(store_ref::adopt(nullptr));

    const std::shared_ptr<kvds::kv_c> standard = adopted;
    adopted = store_ref();
    a = store_ref();
    c = store_ref();
    std::string value;
    CHECK(standard->get("k", value));
    CHECK(distributor.store_count() == 1);
    CHECK(std::shared_ptr<kvds::kv_c>(store_ref()) == nullptr);
}

TEST_CASE("lifetimes call their observer at their end")
{
    class observer_c : public kvds::lifetime_c::observer_if,
                       public kvds::lifetime_tagged_c::observer_if {
    public:
        void death_ind() override { deaths++; }
        void death_ind(const std::size_t tag) override { tags.push_back(tag); }
        int deaths = 0;
        std::vector<std::size_t> tags;
    } observer;
    {
        const kvds::lifetime_c plain(observer);
        const kvds::lifetime_c copy = plain;
        const kvds::lifetime_tagged_c first(observer, 1), second(observer, 2);
        CHECK(observer.deaths == 0);
    }
    CHECK(observer.deaths == 2);
    CHECK(observer.tags == std::vector<std::size_t>{ 2, 1 });
}

TEST_CASE("store classes of programs are used like those of the library")
{
    host_store_c own;
    use(own);
    kvds::distributor_c distributor;
    use(**distributor.get_or_create("s", kvds::backend::memory));
    const std::shared_ptr<kvds::kv_c> held = *distributor.get_or_create("s", kvds::backend::memory);
    kvds::kv_reader_c &reader = *held;
    kvds::kv_writer_c &writer = *held;
    const kvds::kv_stat &state = *held;
    CHECK(reader.exists("absent") == false);
    CHECK(writer.set("a", "b"));
    CHECK(state.is_open());
}
