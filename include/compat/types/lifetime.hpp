/*
 * Observed lifetimes under their names in the original C++ package: pkg::types::lifetime_c,
 * lifetime_tagged_c.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "../kvds/order.hpp"

#if defined(KVDS_COMPAT_PROBE_KVDS)
// The kvds/kvds.hpp that was found includes this header, so it is the original's.
#include "../kvds/wrong_order.hpp"
#elif defined(KVDS_COMPAT_PROBE)
#define KVDS_COMPAT_FOUND_LIFETIME
#elif !defined(KVDS_COMPAT_TYPES_LIFETIME_HPP)
#define KVDS_COMPAT_TYPES_LIFETIME_HPP

#include "../../kvds.hpp"

namespace pkg::types {

using kvds::lifetime_c;
using kvds::lifetime_tagged_c;

} // namespace pkg::types

#endif /* KVDS_COMPAT_TYPES_LIFETIME_HPP */
