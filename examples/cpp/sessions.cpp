/*
 * sessions: shares stores among the parts of a program, with the C++ header of kvds.
 *
 * Parts of a program ask the distributor for a store by name and hold a counted reference to it. A
 * part that has only a scope of a store can reach nothing else in it. When the last reference is
 * released, the store is destroyed and an observer is called.
 *
 *     c++ -std=c++17 sessions.cpp -lkvds -o sessions
 *     ./sessions
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <kvds.hpp>

#include <cstdlib>
#include <iostream>
#include <stdexcept>

using store_ref = kvds::shared_obj_c<kvds::store_c>;

/* The sessions of one user, in any kv_c: a store, a scope, or a class of the program. */
class sessions_c {
public:
    explicit sessions_c(std::shared_ptr<kvds::kv_c> store) : store_(std::move(store)) {}

    bool begin(const std::string &id, const std::string &device)
    {
        return store_->set_nx(id, device);
    }
    bool end(const std::string &id) { return store_->del(id); }
    int count() const
    {
        int sessions = 0;
        store_->iterate("", [&](const std::string &, const std::string &) {
            sessions++;
            return true;
        });
        return sessions;
    }

private:
    std::shared_ptr<kvds::kv_c> store_;
};

/* Returns the store, or throws the last error. */
static store_ref store_of(std::optional<store_ref> store)
{
    if (!store)
        throw std::runtime_error(kvds::last_error());
    return *store;
}

static void run()
{
    const kvds::distributor_c distributor;
    distributor.observe(
        [](std::uint64_t, std::string_view id, kvds::backend) { std::cout << id << " is gone\n"; });

    store_ref all = store_of(distributor.get_or_create("sessions", kvds::backend::memory));
    sessions_c of_ada(store_of(all->scope("ada/"))), of_bob(store_of(all->scope("bob/")));
    of_ada.begin("1", "phone");
    of_ada.begin("2", "laptop");
    of_bob.begin("1", "tablet");
    std::cout << (of_bob.begin("1", "phone") ? "begun twice\n" : "bob has a session 1 already\n");
    of_ada.end("1");
    std::cout << "ada has " << of_ada.count() << ", bob has " << of_bob.count() << '\n';

    for (auto [session, device] : all->scan())
        std::cout << "  " << session << ": " << device << '\n';
    all = nullptr; /* the scopes keep the store alive until this function returns */
    std::cout << "ada still has " << of_ada.count() << '\n';
}

int main()
{
    try {
        run();
        return EXIT_SUCCESS;
    } catch (const std::exception &failure) {
        std::cerr << "sessions: " << failure.what() << '\n';
        return EXIT_FAILURE;
    }
}
