/*
 * records: a record manager like a program for the original C++ package of kvds. It includes the
 * original's headers, and is compiled with one more include directory:
 *
 *     c++ -std=c++17 -Iinclude/compat records.cpp -lkvds -pthread -o records
 *     ./records
 *
 * A type of records has numbered fields, each a text or a number. One store holds everything under
 * these keys:
 *
 *     record:schema:TYPE:N      the name and the kind of field N
 *     record:next:TYPE          the id of the next record
 *     record:data:TYPE:ID:N     field N of a record
 *     record:lock:TYPE:ID       the owner of the lock on a record
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <kvds/kvds.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using backend_e = kvds::kv_c_distributor_c::kv_c_backend_e;

/* Numbers in keys have leading zeros, because keys are ordered by bytes: "10" is before "9". */
static std::string padded(std::size_t number)
{
    char text[24];
    std::snprintf(text, sizeof text, "%06zu", number);
    return text;
}

struct field_s {
    std::string name;
    bool is_number;
};

/* A record: its id, and a value for each field. */
struct record_s {
    std::size_t id;
    std::vector<std::string> values;
};

/* A lock on one record, held during the lifetime of this object. Its value is the owner's token. */
class record_lock_c {
public:
    record_lock_c(kvds::kv_c &store, const std::string &key, const std::string &token)
        : store_(store), key_(key), token_(token)
    {
        while (!store_.set_nx(key_, token_)) {
            if (!store_.is_open())
                throw std::runtime_error("the store is closed");
            std::this_thread::yield();
        }
    }
    ~record_lock_c()
    {
        /* No other thread takes the lock while the token exists, so two calls are safe. */
        std::string owner;
        if (store_.get(key_, owner) && owner == token_)
            store_.del(key_);
    }
    record_lock_c(const record_lock_c &) = delete;
    record_lock_c &operator=(const record_lock_c &) = delete;

private:
    kvds::kv_c &store_;
    const std::string key_, token_;
};

class record_manager_c {
public:
    explicit record_manager_c(std::shared_ptr<kvds::kv_c> store) : store_(std::move(store)) {}

    void define(const std::string &type, const std::vector<field_s> &fields)
    {
        std::map<std::string, std::string> pairs;
        for (std::size_t n = 0; n < fields.size(); n++)
            pairs["record:schema:" + type + ":" + padded(n)] =
                (fields[n].is_number ? "number:" : "text:") + fields[n].name;
        must(store_->set_batch(pairs), "cannot define " + type);
    }

    std::vector<field_s> fields(const std::string &type) const
    {
        std::vector<field_s> found;
        store_->iterate(
            "record:schema:" + type + ":", [&](const std::string &, const std::string &value) {
                const auto colon = value.find(':');
                found.push_back({ value.substr(colon + 1), value.substr(0, colon) == "number" });
                return true;
            });
        return found;
    }

    /* Writes all fields of a record in one atomic step. */
    std::size_t create(const std::string &type, const std::vector<std::string> &values)
    {
        check(type, values);
        const std::size_t id = next_id(type);
        write(type, { id, values });
        return id;
    }

    bool load(const std::string &type, std::size_t id, record_s &record) const
    {
        record = { id, {} };
        store_->iterate(data(type, id), [&](const std::string &, const std::string &value) {
            record.values.push_back(value);
            return true;
        });
        return !record.values.empty();
    }

    /* Calls `change` for a record under its lock. `who` is a unique token for the lock. */
    void update(const std::string &type, std::size_t id, const std::string &who,
                std::function<void(record_s &)> change)
    {
        const record_lock_c lock(*store_, "record:lock:" + type + ":" + padded(id), who);
        record_s record;
        must(load(type, id, record), "no such " + type);
        change(record);
        check(type, record.values);
        write(type, record);
    }

    void remove(const std::string &type, std::size_t id)
    {
        std::vector<std::string> keys;
        store_->iterate(data(type, id), [&](const std::string &key, const std::string &) {
            keys.push_back(key);
            return true;
        });
        must(store_->delete_batch(keys), "cannot remove a " + type);
    }

    /* Prints all records, by an iteration over the types and nested iterations over their data. */
    void print(std::ostream &out) const
    {
        std::string seen;
        store_->iterate("record:schema:", [&](const std::string &key, const std::string &) {
            const std::string type = key.substr(14, key.rfind(':') - 14);
            if (type == seen)
                return true;
            seen = type;
            const std::vector<field_s> schema = fields(type);
            out << type << '\n';
            store_->iterate("record:data:" + type + ":", [&](const std::string &data_key,
                                                             const std::string &value) {
                const auto n = std::stoul(data_key.substr(data_key.rfind(':') + 1));
                if (n == 0)
                    out << "  " << std::stoul(data_key.substr(13 + type.size())) << '\n';
                out << "    " << schema.at(n).name << ": " << value << '\n';
                return true;
            });
            return true;
        });
    }

private:
    static void must(bool done, const std::string &complaint)
    {
        if (!done)
            throw std::runtime_error(complaint);
    }

    static std::string data(const std::string &type, std::size_t id)
    {
        return "record:data:" + type + ":" + padded(id) + ":";
    }

    void check(const std::string &type, const std::vector<std::string> &values) const
    {
        const std::vector<field_s> schema = fields(type);
        must(!schema.empty() && schema.size() == values.size(), type + " has other fields");
        for (std::size_t n = 0; n < schema.size(); n++) {
            const bool number = !values[n].empty() &&
                                values[n].find_first_not_of("0123456789") == std::string::npos;
            must(number || !schema[n].is_number,
                 type + ": " + schema[n].name + " is a number, and not \"" + values[n] + "\"");
        }
    }

    void write(const std::string &type, const record_s &record)
    {
        std::map<std::string, std::string> pairs;
        for (std::size_t n = 0; n < record.values.size(); n++)
            pairs[data(type, record.id) + padded(n)] = record.values[n];
        must(store_->set_batch(pairs), "cannot write a " + type);
    }

    /* A thread owns the id that it read if it can increment it. Otherwise it reads again. */
    std::size_t next_id(const std::string &type)
    {
        const std::string key = "record:next:" + type;
        store_->set_nx(key, "1");
        std::string next;
        do
            must(store_->get(key, next), "cannot count " + type);
        while (!store_->compare_and_swap(key, next, std::to_string(std::stoul(next) + 1)));
        return std::stoul(next);
    }

    std::shared_ptr<kvds::kv_c> store_;
};

static void run(const std::string &path)
{
    kvds::kv_c_distributor_c distributor(path);
    auto store = distributor.get_or_create_kv_c("records", backend_e::DISK);
    std::cout << (store ? "records on disk\n" : "records in memory, as there is no disk engine\n");
    if (!store)
        store = distributor.get_or_create_kv_c("records", backend_e::MEMORY);
    if (!store)
        throw std::runtime_error("there is no store");

    record_manager_c records(store.value());
    records.define("author", { { "name", false }, { "born", true } });
    records.define("book", { { "title", false }, { "author", true }, { "loans", true } });

    const std::size_t ada = records.create("author", { "Ada Lovelace", "1815" });
    const std::size_t mary = records.create("author", { "Mary Shelley", "1798" });
    const std::size_t notes = records.create("book", { "Notes", std::to_string(ada), "0" });
    records.create("book", { "Frankenstein", std::to_string(mary), "0" });
    const std::size_t lost = records.create("book", { "A lost book", std::to_string(mary), "0" });
    try {
        records.create("author", { "Alan Turing", "June" });
    } catch (const std::runtime_error &refused) {
        std::cout << "refused: " << refused.what() << '\n';
    }

    /* Four threads lend the same book fifty times each, and no loan is lost. */
    std::vector<std::thread> desks;
    for (int desk = 0; desk < 4; desk++)
        desks.emplace_back([&records, notes, who = "desk " + std::to_string(desk)] {
            for (int loan = 0; loan < 50; loan++)
                records.update("book", notes, who, [](record_s &book) {
                    book.values[2] = std::to_string(std::stoul(book.values[2]) + 1);
                });
        });
    for (auto &desk : desks)
        desk.join();

    records.remove("book", lost);
    record_s gone;
    std::cout << "book " << lost
              << (records.load("book", lost, gone) ? " is there\n" : " is gone\n");
    records.print(std::cout);
}

int main()
{
    std::string path = (std::filesystem::temp_directory_path() / "records-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) {
        std::perror(path.c_str());
        return EXIT_FAILURE;
    }
    int result = EXIT_SUCCESS;
    try {
        run(path);
    } catch (const std::exception &failure) {
        std::cerr << "records: " << failure.what() << '\n';
        result = EXIT_FAILURE;
    }
    std::filesystem::remove_all(path);
    return result;
}
