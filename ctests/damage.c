/* Damaged stores: what kvds_verify() reports and kvds_salvage() saves. */

#include "check.h"

enum { KEYS = 2000 };

/* What a callback was called with. */
struct report {
    unsigned calls, damages;
    /* Ends the call after so many calls; 0 for never. */
    unsigned stop_after;
    char file[PATH_MAX];
    char first[64], last[64];
    int loss;
};

static int note(void *user_data, const kvds_damage *damage, uint64_t bytes_done,
                uint64_t bytes_total)
{
    struct report *report = user_data;
    must(bytes_done <= bytes_total);
    if (damage) {
        must(strlen(damage->problem) > 0);
        must(snprintf(report->file, sizeof report->file, "%s", damage->file) < PATH_MAX);
        must(damage->first_len < sizeof report->first && damage->last_len < sizeof report->last);
        if (damage->first)
            memcpy(report->first, damage->first, damage->first_len);
        if (damage->last)
            memcpy(report->last, damage->last, damage->last_len);
        report->loss = damage->loss;
        report->damages++;
    }
    return ++report->calls != report->stop_after;
}

static struct text key_of(size_t number) { return text_of("key%04zu", number); }

static struct text value_of(size_t number) { return text_of("value %zu", number * number); }

/* Fills the fixture's store, and writes all of it to a table. The first key expires. */
static void fill(struct fixture *f)
{
    for (size_t i = 0; i < KEYS; i++) {
        const struct text key = key_of(i), value = value_of(i);
        if (i == 0)
            assert_ok(kvds_set_ttl(f->store, key.data, key.len, value.data, value.len, 1000000));
        else
            assert_ok(kvds_set(f->store, key.data, key.len, value.data, value.len));
    }
    assert_ok(kvds_checkpoint(f->store, PATH(f->base, "flushed")));
}

/* Returns the largest file in a directory whose name has this ending. */
static const char *largest(char path[PATH_MAX], const char *directory, const char *ending)
{
    off_t size = -1;
    DIR *entries = opendir(directory);
    must(entries != NULL);
    for (struct dirent *entry; (entry = readdir(entries));) {
        char candidate[PATH_MAX];
        struct stat about;
        const size_t len = strlen(entry->d_name);
        if (len < strlen(ending) || strcmp(entry->d_name + len - strlen(ending), ending) != 0)
            continue;
        must(stat(path_of(candidate, directory, entry->d_name), &about) == 0);
        if (about.st_size > size) {
            size = about.st_size;
            memcpy(path, candidate, sizeof candidate);
        }
    }
    closedir(entries);
    must(size > 0);
    return path;
}

static void change_byte(const char *path, long offset)
{
    FILE *file = fopen(path, "r+");
    must(file && fseek(file, offset, SEEK_SET) == 0);
    const int byte = fgetc(file);
    must(byte != EOF && fseek(file, offset, SEEK_SET) == 0);
    must(fputc(byte ^ 1, file) != EOF && fclose(file) == 0);
}

static void a_whole_store_is_verified_also_while_it_is_open(void **state)
{
    struct fixture *f = *state;
    const char *store = PATH(f->base, "store");
    struct report report = { 0 };
    fill(f);
    assert_ok(kvds_verify(store, NULL, note, &report));
    assert_true(report.calls > 0);
    assert_int_equal(report.damages, 0);
    assert_ok(kvds_verify(store, NULL, NULL, NULL));
    release_store(f);
    assert_ok(kvds_verify(store, NULL, NULL, NULL));
}

static void what_can_be_read_is_saved(void **state)
{
    struct fixture *f = *state;
    const char *store = PATH(f->base, "store"), *target = PATH(f->base, "above/target");
    char table[PATH_MAX];
    struct report report = { 0 };
    kvds_salvaged salvaged;
    fill(f);
    release_store(f);
    change_byte(largest(table, store, ".sst"), 3000);

    assert_returns(KVDS_CORRUPTION, kvds_verify(store, NULL, note, &report));
    assert_error_says("damaged in 1 place");
    assert_error_says(store);
    assert_int_equal(report.damages, 1);
    assert_string_equal(report.file, table);
    assert_int_equal(report.loss, KVDS_LOSS_PAIRS);
    assert_true(strcmp(report.first, report.last) < 0);

    report = (struct report){ 0 };
    assert_ok(kvds_salvage(store, target, NULL, note, &report, &salvaged));
    assert_int_equal(report.damages, 1);
    assert_int_equal(salvaged.ttls_lost, 0);
    assert_int_equal(entries_in(PATH(f->base, "above")), 1);

    /* All pairs outside of the damaged range are there, and no pair is wrong. */
    kvds_store *saved;
    size_t found = 0;
    int64_t left;
    assert_ok(kvds_store_open(target, NULL, &saved));
    for (size_t i = 0; i < KEYS; i++) {
        const struct text key = key_of(i), value = value_of(i);
        const bool is_there = has(saved, key.data, key.len, value.data, value.len);
        if (!is_there) {
            assert_returns(KVDS_NOT_FOUND, kvds_exists(saved, key.data, key.len));
            assert_true(strcmp(report.first, key.data) <= 0 && strcmp(key.data, report.last) <= 0);
        } else if (kvds_ttl(saved, key.data, key.len, &left) == KVDS_OK) {
            assert_int_equal(left >= 0, i == 0);
        }
        found += is_there;
    }
    assert_true(found > 0 && found < KEYS);
    assert_int_equal(found, salvaged.pairs);
    kvds_store_release(saved);
}

static void the_callback_ends_both(void **state)
{
    struct fixture *f = *state;
    const char *store = PATH(f->base, "store"), *target = PATH(f->base, "target");
    kvds_salvaged salvaged = { 1, 1, 1 };
    fill(f);
    release_store(f);
    const size_t entries = entries_in(f->base);
    struct report report = { .stop_after = 1 };
    assert_returns(KVDS_STOPPED, kvds_verify(store, NULL, note, &report));
    assert_int_equal(report.calls, 1);
    report = (struct report){ .stop_after = 2 };
    assert_returns(KVDS_STOPPED, kvds_salvage(store, target, NULL, note, &report, &salvaged));
    assert_int_equal(report.calls, 2);
    assert_int_equal(salvaged.pairs, 0);
    assert_int_equal(entries_in(f->base), entries);
}

static void wrong_calls_are_refused(void **state)
{
    struct fixture *f = *state;
    const char *store = PATH(f->base, "store"), *target = PATH(f->base, "target");
    const char *absent = PATH(f->base, "absent");
    kvds_salvaged salvaged;
    assert_returns(KVDS_NOT_FOUND, kvds_verify(absent, NULL, NULL, NULL));
    assert_returns(KVDS_NOT_FOUND, kvds_salvage(absent, target, NULL, NULL, NULL, &salvaged));
    assert_invalid(kvds_verify(NULL, NULL, NULL, NULL));
    assert_invalid(kvds_verify("", NULL, NULL, NULL));
    assert_invalid(kvds_salvage(NULL, target, NULL, NULL, NULL, &salvaged));
    assert_invalid(kvds_salvage(store, NULL, NULL, NULL, NULL, &salvaged));
    assert_invalid(kvds_salvage(store, target, NULL, NULL, NULL, NULL));
    assert_returns(KVDS_LOCKED, kvds_salvage(store, target, NULL, NULL, NULL, &salvaged));
    release_store(f);
    assert_invalid(kvds_salvage(store, store, NULL, NULL, NULL, &salvaged));
    assert_error_says("exists");
    assert_false(is_there(target));
}

static void a_build_without_disk_stores_has_neither(void **state)
{
    struct fixture *f = *state;
    kvds_salvaged salvaged;
    assert_returns(KVDS_UNSUPPORTED, kvds_verify(PATH(f->base, "store"), NULL, NULL, NULL));
    assert_returns(KVDS_UNSUPPORTED, kvds_salvage(PATH(f->base, "store"), PATH(f->base, "target"),
                                                  NULL, NULL, NULL, &salvaged));
}

int main(void)
{
    if (!HAS_DISK) {
        const struct CMUnitTest tests[] = { ON_MEMORY(a_build_without_disk_stores_has_neither) };
        return RUN("damage", tests);
    }
    const struct CMUnitTest tests[] = {
        ON_DISK(a_whole_store_is_verified_also_while_it_is_open),
        ON_DISK(what_can_be_read_is_saved),
        ON_DISK(the_callback_ends_both),
        ON_DISK(wrong_calls_are_refused),
    };
    return RUN("damage", tests);
}
