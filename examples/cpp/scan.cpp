/*
 * scan: a batch, a snapshot and a scan, with the C++ header of kvds.
 *
 * A store has the stock of a shop, with a key for each article. A sale moves an article from the
 * shelf to the basket in one step, if its number has not changed in the meantime. A snapshot from
 * before the sale still shows the shelf.
 *
 *     c++ -std=c++17 scan.cpp -lkvds -o scan
 *     ./scan
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <kvds.hpp>

#include <cstdlib>
#include <iostream>
#include <stdexcept>

/* Prints every pair with the prefix. Key and value are valid until the next iteration. */
static void print(const char *title, kvds::store_c &store, std::string_view prefix)
{
    std::cout << title << '\n';
    for (auto [article, pieces] : store.scan(prefix))
        std::cout << "  " << article << ": " << pieces << '\n';
    /* The loop ends after the last pair or at an error; last_status() says which. */
    if (kvds::last_status() != kvds::status::not_found)
        throw std::runtime_error(kvds::last_error());
}

/* Moves an article to the basket. False if there is none, or if another thread was faster. */
static bool sell(kvds::store_c &store, const std::string &article)
{
    const auto pieces = store.get("shelf/" + article);
    if (!pieces)
        return false;
    kvds::batch_c sale;
    return sale.expect("shelf/" + article, *pieces) && sale.del("shelf/" + article) &&
           sale.set("basket/" + article, *pieces) && store.write(sale);
}

static void run()
{
    const kvds::distributor_c distributor; /* with a path, it has disk stores too */
    const auto store = distributor.get_or_create("shop", kvds::backend::memory);
    if (!store)
        throw std::runtime_error(kvds::last_error());
    kvds::store_c &shop = **store;

    if (!shop.set_batch({ { "shelf/apple", "12" }, { "shelf/pear", "7" }, { "shelf/plum", "30" } }))
        throw std::runtime_error(kvds::last_error());

    const auto before = shop.snapshot();
    if (!before)
        throw std::runtime_error(kvds::last_error());
    std::cout << (sell(shop, "pear") ? "the pears are sold\n" : "no pears\n");
    std::cout << (sell(shop, "pear") ? "sold twice\n" : "there are no more pears\n");

    print("now", shop, "");
    print("before, what begins with p", **before, "shelf/p");
}

int main()
{
    try {
        run();
        return EXIT_SUCCESS;
    } catch (const std::exception &failure) {
        std::cerr << "scan: " << failure.what() << '\n';
        return EXIT_FAILURE;
    }
}
