// Access to private members of RocksDB's classes.
//
//     struct Mutex {
//         friend auto member_of(Mutex);
//     };
//     template struct PrivateMember<Mutex, &DBImpl::mutex_>;
//
//     database.*member_of(Mutex())
//
// C++ does not check access in an explicit instantiation of a template.

#ifndef KVDS_PRIVATE_MEMBER_H
#define KVDS_PRIVATE_MEMBER_H

// In an unnamed namespace, because `member_of` must be in the namespace of its argument.
namespace {

template <typename Name, auto member>
struct PrivateMember {
    friend auto member_of(Name) { return member; }
};

} // namespace

#endif
