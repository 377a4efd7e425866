/* Compares sizes, offsets and constants in C with those in Rust. */

#include "check.h"

/* Rust's numbers, which tests/c.rs generates. */
#include "rust_layout.h"

struct entry {
    const char *name;
    int64_t c, rust;
};

#define SIZE(type, number) { "sizeof " #type, sizeof(type), number },
#define OFFSET(type, field, number) { "offsetof " #type "." #field, offsetof(type, field), number },
#define CONSTANT(name, number) { #name, name, number },

static const struct entry entries[] = { RUST_SIZES(SIZE) RUST_OFFSETS(OFFSET)
                                            RUST_CONSTANTS(CONSTANT) };

static void c_and_rust_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(entries); i++) {
        if (entries[i].c != entries[i].rust)
            print_error("%s\n", entries[i].name);
        assert_int_equal(entries[i].c, entries[i].rust);
    }
}

static void numbers_are_signed(void **state)
{
    (void)state;
    assert_true((kvds_status)-1 < 0);
    assert_true((kvds_backend)-1 < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { ON_MEMORY(c_and_rust_agree),
                                        ON_MEMORY(numbers_are_signed) };
    return RUN("layout", tests);
}
