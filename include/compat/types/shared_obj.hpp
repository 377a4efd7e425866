/*
 * Counted references under their names in the original C++ package: pkg::types::shared_c,
 * shared_obj_c, make_shared.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "../kvds/order.hpp"

#if defined(KVDS_COMPAT_PROBE_KVDS)
// The kvds/kvds.hpp that was found includes this header, so it is the original's.
#include "../kvds/wrong_order.hpp"
#elif defined(KVDS_COMPAT_PROBE)
#define KVDS_COMPAT_FOUND_SHARED_OBJ
#elif !defined(KVDS_COMPAT_TYPES_SHARED_OBJ_HPP)
#define KVDS_COMPAT_TYPES_SHARED_OBJ_HPP

#include "../../kvds.hpp"

namespace pkg::types {

using kvds::make_shared;
using kvds::shared_c;
using kvds::shared_obj_c;

} // namespace pkg::types

#endif /* KVDS_COMPAT_TYPES_SHARED_OBJ_HPP */
