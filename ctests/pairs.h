/*
 * Pairs as text, such as "a=1 b=2 %FF=", for tests that compare whole stores. Bytes that are not
 * ASCII letters or digits are % and two digits. Include it after check.h.
 */

#ifndef PAIRS_H
#define PAIRS_H

#include <ctype.h>

struct pairs {
    char text[512];
    size_t len;
};

static inline void append_bytes(struct pairs *pairs, const void *bytes, size_t len)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < len; i++) {
        size_t room = sizeof pairs->text - pairs->len;
        bool plain = byte[i] < 0x80 && isalnum(byte[i]);
        int written = snprintf(pairs->text + pairs->len, room, plain ? "%c" : "%%%02X", byte[i]);
        must(written > 0 && (size_t)written < room);
        pairs->len += (size_t)written;
    }
}

/* A callback for kvds_iterate. */
static inline int append_pair(void *user_data, const void *key, size_t key_len, const void *value,
                              size_t value_len)
{
    struct pairs *pairs = user_data;
    must(pairs->len + 2 < sizeof pairs->text);
    if (pairs->len > 0)
        pairs->text[pairs->len++] = ' ';
    append_bytes(pairs, key, key_len);
    pairs->text[pairs->len++] = '=';
    pairs->text[pairs->len] = '\0';
    append_bytes(pairs, value, value_len);
    return 1;
}

/* The pairs of an iteration. */
static inline struct pairs pairs_under(kvds_store *store, const void *prefix, size_t prefix_len)
{
    struct pairs pairs = { .len = 0 };
    must_ok(kvds_iterate(store, prefix, prefix_len, append_pair, &pairs));
    return pairs;
}

#define assert_pairs(expected, store) \
    assert_string_equal(pairs_under(store, NULL, 0).text, expected)

/* The pairs of a cursor in one direction, such as kvds_cursor_first and kvds_cursor_next. */
static inline struct pairs pairs_along(kvds_cursor *cursor, kvds_status (*begin)(kvds_cursor *),
                                       kvds_status (*move)(kvds_cursor *))
{
    struct pairs pairs = { .len = 0 };
    kvds_status status = begin(cursor);
    for (; status == KVDS_OK; status = move(cursor)) {
        kvds_bytes key, value;
        must(kvds_cursor_valid(cursor) == 1);
        must_ok(kvds_cursor_key(cursor, &key));
        must_ok(kvds_cursor_value(cursor, &value));
        append_pair(&pairs, key.data, key.len, value.data, value.len);
    }
    must_return(KVDS_NOT_FOUND, status);
    must(kvds_cursor_valid(cursor) == 0);
    return pairs;
}

#define pairs_forward(cursor) pairs_along(cursor, kvds_cursor_first, kvds_cursor_next)
#define pairs_backward(cursor) pairs_along(cursor, kvds_cursor_last, kvds_cursor_prev)

/* Reads bytes up to a space, a '=' or the end, and advances `from`. */
static inline struct text read_bytes(const char **from)
{
    struct text bytes = { .len = 0 };
    const char *at = *from;
    while (*at && *at != ' ' && *at != '=') {
        unsigned byte = (unsigned char)*at;
        if (*at == '%')
            must(sscanf(at + 1, "%2x", &byte) == 1);
        at += *at == '%' ? 3 : 1;
        must(bytes.len < sizeof bytes.data);
        bytes.data[bytes.len++] = (char)byte;
    }
    *from = at;
    return bytes;
}

/* Reads a pair and advances `from` to the next one. */
static inline void read_pair(const char **from, struct text *key, struct text *value)
{
    *key = read_bytes(from);
    *from += **from == '=';
    *value = read_bytes(from);
    *from += **from == ' ';
}

static inline void set_pairs(kvds_store *store, const char *pairs)
{
    while (*pairs) {
        struct text key, value;
        read_pair(&pairs, &key, &value);
        must_ok(kvds_set(store, key.data, key.len, value.data, value.len));
    }
}

/* Replaces all pairs of the store. */
static inline void reset_pairs(kvds_store *store, const char *pairs)
{
    must_ok(kvds_delete_prefix(store, NULL, 0));
    set_pairs(store, pairs);
}

#endif
