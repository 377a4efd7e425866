/*
 * RocksDB's CRC-32C with the instructions of SSE 4.2 and PCLMUL, in a namespace of its own. Only
 * functions of this file may use these instructions. The headers come first: the linker may take an
 * inline function of theirs from this object for the whole library.
 */
#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "port/lang.h"
#include "rocksdb/rocksdb_namespace.h"
#include "util/coding.h"
#include "util/math.h"

#ifdef __clang__
#define __SSE4_2__ 1
#define __PCLMUL__ 1
#include <nmmintrin.h>
#include <wmmintrin.h>
#pragma clang attribute push(__attribute__((target("sse4.2,pclmul"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("sse4.2,pclmul")
#endif

#define crc32c crc32c_sse42
#include "util/crc32c.cc"
#undef crc32c

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
