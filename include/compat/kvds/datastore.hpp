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

/** A store on disk. Closed at first. */
class datastore_c : public detail::opened_c {
public:
    /**
     * Opens the database in the directory `path`, which is made if it is not there, with those
     * above it. False if this is open, if anyone else has the directory open, or if it cannot be
     * opened: then last_error() says why.
     */
    bool open(const std::string &path)
    {
        return front_open([&] { return store_c::open(path); });
    }
};

} // namespace kvds

#endif /* KVDS_COMPAT_KVDS_DATASTORE_HPP */
