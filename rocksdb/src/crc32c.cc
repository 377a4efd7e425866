/*
 * Chooses RocksDB's implementation of CRC-32C at run time. RocksDB itself chooses at compile time:
 * a library for every x86-64 processor would get the slow one, which uses tables.
 */
#define Extend ExtendPortable
#define IsFastCrc32Supported IsFastCrc32SupportedPortable
#include "util/crc32c.cc"
#undef Extend
#undef IsFastCrc32Supported

namespace ROCKSDB_NAMESPACE {

namespace crc32c_sse42 {
/* In crc32c_sse42.cc. */
uint32_t Extend(uint32_t crc, const char *data, size_t size);
} // namespace crc32c_sse42

namespace crc32c {

static bool HasInstructions()
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

static const Function chosen = HasInstructions() ? crc32c_sse42::Extend : ExtendPortable;

uint32_t Extend(uint32_t crc, const char *data, size_t size)
{
    /* `chosen` is null until the static variables of this file are initialized. */
    return chosen ? chosen(crc, data, size) : ExtendPortable(crc, data, size);
}

std::string IsFastCrc32Supported()
{
    return HasInstructions() ? "Supported on x86" : "Not supported on x86";
}

} // namespace crc32c
} // namespace ROCKSDB_NAMESPACE

/* For the test of this crate: the chosen implementation, or the one that uses tables. */
extern "C" uint32_t kvds_rocksdb_crc32c(bool chosen, const char *data, size_t size)
{
    using namespace ROCKSDB_NAMESPACE::crc32c;
    return chosen ? Extend(0, data, size) : ExtendPortable(0, data, size);
}
