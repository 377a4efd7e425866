/* build.rs preprocesses this file and looks for the names of installed libraries. */
#if __has_include(<rocksdb/db.h>)
"there: rocksdb"
#endif
#if __has_include(<leveldb/db.h>)
    "there: leveldb"
#endif
#if __has_include(<tkrzw_dbm_baby.h>)
    "there: tkrzw"
#endif
