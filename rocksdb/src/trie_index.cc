/*
 * RocksDB registers its experimental index of tries under a name. Nothing here uses that index, and
 * it would take a tenth of the time to compile.
 */
#include "utilities/trie_index/trie_index_factory.h"

namespace ROCKSDB_NAMESPACE::trie_index {

int RegisterBuiltinTrieIndexFactory(ObjectLibrary &, const std::string &) { return 0; }

} // namespace ROCKSDB_NAMESPACE::trie_index
