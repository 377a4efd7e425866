/*
 * Checks the order of the include directories: the compiler must find these headers, and not those
 * of the original package, which have the same names. Each header of include/compat includes this
 * one.
 *
 * If the original's directory comes first and has all headers, a program includes none of these.
 * `-include kvds/order.hpp` on the compiler's command line detects that too.
 *
 * This header includes each header by the name that programs use, with KVDS_COMPAT_PROBE defined.
 * Those of include/compat then define a macro and nothing else.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#ifndef KVDS_COMPAT_KVDS_ORDER_HPP
#define KVDS_COMPAT_KVDS_ORDER_HPP

#define KVDS_COMPAT_PROBE

// A program may include these headers by a path, without an include directory that has them.
#if __has_include(<kvds/kvds.hpp>)
#define KVDS_COMPAT_PROBE_KVDS
#include <kvds/kvds.hpp>
#undef KVDS_COMPAT_PROBE_KVDS
#ifndef KVDS_COMPAT_FOUND_KVDS
#include "wrong_order.hpp"
#endif
#endif

#if __has_include(<types/lifetime.hpp>)
#include <types/lifetime.hpp>
#ifndef KVDS_COMPAT_FOUND_LIFETIME
#include "wrong_order.hpp"
#endif
#endif

#if __has_include(<types/shared_obj.hpp>)
#include <types/shared_obj.hpp>
#ifndef KVDS_COMPAT_FOUND_SHARED_OBJ
#include "wrong_order.hpp"
#endif
#endif

#undef KVDS_COMPAT_PROBE

#endif /* KVDS_COMPAT_KVDS_ORDER_HPP */
