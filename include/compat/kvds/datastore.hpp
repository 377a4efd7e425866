/*
 * The disk store of the original C++ package.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef KVDS_COMPAT_KVDS_DATASTORE_HPP
#define KVDS_COMPAT_KVDS_DATASTORE_HPP

#include "kvds.hpp"

#include <string>

namespace kvds {

/** A disk store. It is closed until open() is called. */
class datastore_c : public detail::opened_c {
public:
    /**
     * Opens the store in the directory `path`, which is created if it does not exist, with those
     * above it. Returns false if this object is open or the directory cannot be opened:
     * last_error() says why.
     */
    bool open(const std::string &path)
    {
        return front_open([&] { return store_c::open(path); });
    }
};

} // namespace kvds

#endif /* KVDS_COMPAT_KVDS_DATASTORE_HPP */
