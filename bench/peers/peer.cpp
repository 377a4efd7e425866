/* The peers' methods as C functions, which Rust calls. */

#include "peer.hpp"

extern "C" {

void peer_free(peer *on) { delete on; }
bool peer_get(peer *on, bytes key, bytes *value) { return on->get(key, *value); }
bool peer_exists(peer *on, bytes key) { return on->exists(key); }
void peer_set(peer *on, bytes key, bytes value) { on->set(key, value); }
bool peer_del(peer *on, bytes key) { return on->del(key); }
bool peer_set_nx(peer *on, bytes key, bytes value) { return on->set_nx(key, value); }
bool peer_compare_and_swap(peer *on, bytes key, bytes expected, bytes value)
{
    return on->compare_and_swap(key, expected, value);
}
void peer_set_batch(peer *on, const pair *pairs, std::size_t count) { on->set_batch(pairs, count); }
void peer_iterate(peer *on, bytes prefix, visit show, void *user_data)
{
    on->iterate(prefix, show, user_data);
}
void peer_scan(peer *on, bytes start, std::size_t count, bool backward, visit show, void *user_data)
{
    on->scan(start, count, backward, show, user_data);
}

} // extern "C"
