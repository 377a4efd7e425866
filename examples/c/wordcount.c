/*
 * wordcount: counts the words of text files with kvds.
 *
 * Two threads count in a memory store, the counts are saved to a disk store in batches, every reference is dropped, and the
 * disk store is opened again and asked. On the way it shows what a program does with a kvds store: share it between
 * threads, change a value that others change too, write in batches, iterate, learn of a store's death, and report failures.
 *
 *     cc wordcount.c -lkvds -pthread -o wordcount
 *     ./wordcount [-d DIR] [-p PREFIX] FILE...
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#define _POSIX_C_SOURCE 200809L

#include <kvds.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS = 2,      /* that count */
    BATCH = 500,      /* pairs in one write to the disk */
    TOP = 20,         /* words in the list */
    COUNT_ROOM = 21,  /* bytes for any uint64_t as decimal text and a NUL */
    READ_CHUNK = 1 << 16,
};

/* Both stores have this name: memory stores and disk stores don't share their names. */
static const char STORE_ID[] = "wordcount";

/* ---------------------------------------------------------------- telling */

/* Says what went wrong. */
static void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("wordcount: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/*
 * Whether a call was answered with KVDS_OK; else says why not. To be called on the thread that made the call, as each
 * thread has its own last error.
 */
static bool succeeded(kvds_status status)
{
    if (status < 0)
        complain("%s: %s", kvds_status_name(status), kvds_last_error());
    else if (status > 0)
        complain("unexpected answer %s", kvds_status_name(status));
    return status == KVDS_OK;
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Prints one finished step and how long it took since `start`. */
static void report(double start, const char *step, const char *format, ...)
{
    double took = milliseconds() - start;
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("%-7s %-66s %9.2f ms\n", step, text, took);
}

/* A death observer: is called once for each store whose last reference is gone. */
static void on_death(void *user_data, uint64_t tag, const char *id, kvds_backend backend)
{
    FILE *out = user_data;
    fprintf(out, "        observer: store %" PRIu64 ", \"%s\" %s, has died\n", tag, id,
            backend == KVDS_MEMORY ? "in memory" : "on disk");
}

/* ------------------------------------------------------- counts as values */

/* Writes a count as decimal text and returns its length. `text` has COUNT_ROOM bytes. */
static size_t format_count(uint64_t count, char *text)
{
    return (size_t)snprintf(text, COUNT_ROOM, "%" PRIu64, count);
}

/* A value is bytes with a length: there is no NUL at its end for strtoull to stop at. */
static uint64_t parse_count(const void *value, size_t len)
{
    const char *digits = value;
    uint64_t count = 0;
    for (size_t i = 0; i < len; i++)
        count = count * 10 + (uint64_t)(digits[i] - '0');
    return count;
}

/* ------------------------------------------------------------------- text */

struct text {
    char *bytes;
    size_t len;
    size_t room;
};

struct words {
    kvds_bytes *list; /* they point into the text */
    size_t count;
};

static bool make_room(struct text *text, size_t more)
{
    if (text->room - text->len >= more)
        return true;
    size_t room = 2 * text->room + more;
    char *bytes = realloc(text->bytes, room);
    if (bytes == NULL) {
        complain("out of memory for the text");
        return false;
    }
    text->bytes = bytes;
    text->room = room;
    return true;
}

/* Appends a file to the text, and a newline, so that no word goes on in the next file. */
static bool read_file(const char *path, struct text *text)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        complain("cannot open %s: %s", path, strerror(errno));
        return false;
    }
    bool good;
    size_t got = 0;
    do {
        good = make_room(text, READ_CHUNK);
        if (good)
            got = fread(text->bytes + text->len, 1, READ_CHUNK, file);
        text->len += got;
    } while (good && got == READ_CHUNK);
    if (ferror(file)) {
        complain("cannot read %s: %s", path, strerror(errno));
        good = false;
    }
    fclose(file);
    good = good && make_room(text, 1);
    if (good)
        text->bytes[text->len++] = '\n';
    return good;
}

static void to_lower(char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] >= 'A' && bytes[i] <= 'Z')
            bytes[i] = (char)(bytes[i] - 'A' + 'a');
}

/* A letter, or a part of a character beyond ASCII. */
static bool is_word_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (unsigned char)byte >= 0x80;
}

/* Finds the first word at or after `*at` and moves `*at` behind it. */
static bool next_word(const char **at, const char *end, kvds_bytes *word)
{
    const char *start = *at;
    while (start < end && !is_word_byte(*start))
        start++;
    const char *stop = start;
    while (stop < end && is_word_byte(*stop))
        stop++;
    *at = stop;
    *word = (kvds_bytes){.data = start, .len = (size_t)(stop - start)};
    return stop > start;
}

/* Splits the text into words: once to count them, once to keep them. */
static bool split(const struct text *text, struct words *words)
{
    const char *end = text->bytes + text->len;
    kvds_bytes word;
    size_t count = 0;
    for (const char *at = text->bytes; next_word(&at, end, &word);)
        count++;

    words->list = calloc(count + 1, sizeof *words->list);
    if (words->list == NULL) {
        complain("out of memory for %zu words", count);
        return false;
    }
    for (const char *at = text->bytes; next_word(&at, end, &word);)
        words->list[words->count++] = word;
    return true;
}

static bool read_words(char **paths, int count, struct text *text, struct words *words)
{
    double start = milliseconds();
    for (int i = 0; i < count; i++)
        if (!read_file(paths[i], text))
            return false;
    to_lower(text->bytes, text->len);
    if (!split(text, words))
        return false;
    report(start, "read", "%zu words in %d file%s", words->count, count, count == 1 ? "" : "s");
    return true;
}

/* --------------------------------------------------------------- counting */

struct worker {
    pthread_t thread;
    kvds_store *store;       /* a reference of its own */
    const kvds_bytes *words; /* its share */
    size_t count;
    uint64_t lost_races;
    bool good;
};

/*
 * Adds one to a word's count. Between a look and a write another thread may change the count. So the write says what it
 * expects: that the word is still new, or that its count is still the old one. If that is no longer so, look again.
 */
static kvds_status count_word(kvds_store *store, kvds_bytes word, uint64_t *lost_races)
{
    for (;;) {
        char old[COUNT_ROOM], new[COUNT_ROOM];
        size_t old_len;
        kvds_status status = kvds_get_into(store, word.data, word.len, old, sizeof old, &old_len);
        if (status == KVDS_NOT_FOUND) {
            status = kvds_set_nx(store, word.data, word.len, "1", 1);
        } else if (status == KVDS_OK) {
            size_t new_len = format_count(parse_count(old, old_len) + 1, new);
            status = kvds_compare_and_swap(store, word.data, word.len, old, old_len, new, new_len);
        }
        if (status != KVDS_EXISTS && status != KVDS_MISMATCH)
            return status;
        ++*lost_races;
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    worker->good = true;
    for (size_t i = 0; i < worker->count && worker->good; i++)
        worker->good = succeeded(count_word(worker->store, worker->words[i], &worker->lost_races));
    kvds_store_release(worker->store);
    return NULL;
}

/* Counts the words, each thread its share of them. */
static bool count_words(kvds_store *store, const struct words *words)
{
    double start = milliseconds();
    struct worker workers[THREADS];
    bool good = true;
    size_t started = 0;
    while (good && started < THREADS) {
        struct worker *worker = &workers[started];
        size_t from = words->count * started / THREADS;
        size_t to = words->count * (started + 1) / THREADS;
        *worker = (struct worker){
            .store = kvds_store_retain(store),
            .words = words->list + from,
            .count = to - from,
        };
        int error = pthread_create(&worker->thread, NULL, work, worker);
        if (error == 0) {
            started++;
        } else {
            complain("cannot start a thread: %s", strerror(error));
            kvds_store_release(worker->store);
            good = false;
        }
    }
    uint64_t lost_races = 0;
    for (size_t i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        good = good && workers[i].good;
        lost_races += workers[i].lost_races;
    }
    if (good)
        report(start, "count", "in memory, %d threads, %" PRIu64 " lost races tried again", THREADS, lost_races);
    return good;
}

/* ----------------------------------------------------------------- saving */

/* Pairs that wait to be written together. Has room for any one pair, as words and counts have an upper length. */
struct saver {
    kvds_store *to;
    kvds_pair pairs[BATCH];
    size_t count;
    char bytes[KVDS_MAX_KEY_LEN + BATCH * COUNT_ROOM];
    size_t used;
    size_t saved, batches;
    kvds_status status;
};

static kvds_status save_batch(struct saver *saver)
{
    kvds_status status = kvds_set_batch(saver->to, saver->pairs, saver->count);
    saver->saved += saver->count;
    saver->batches++;
    saver->count = 0;
    saver->used = 0;
    return status;
}

static const void *keep_bytes(struct saver *saver, const void *bytes, size_t len)
{
    void *copy = memcpy(saver->bytes + saver->used, bytes, len);
    saver->used += len;
    return copy;
}

/* Is shown each pair of the memory store. Copies it, as the pointers are valid during this call only. */
static int save_pair(void *user_data, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct saver *saver = user_data;
    if (saver->count == BATCH || key_len + value_len > sizeof saver->bytes - saver->used)
        saver->status = save_batch(saver);
    if (saver->status != KVDS_OK)
        return 0;
    saver->pairs[saver->count++] = (kvds_pair){
        .key = keep_bytes(saver, key, key_len),
        .key_len = key_len,
        .value = keep_bytes(saver, value, value_len),
        .value_len = value_len,
    };
    return 1;
}

static bool save(kvds_store *from, kvds_store *to)
{
    double start = milliseconds();
    struct saver *saver = calloc(1, sizeof *saver);
    if (saver == NULL) {
        complain("out of memory for a batch");
        return false;
    }
    saver->to = to;
    kvds_status status = kvds_iterate(from, "", 0, save_pair, saver);
    if (status == KVDS_STOPPED)
        status = saver->status;
    if (status == KVDS_OK && saver->count > 0)
        status = save_batch(saver);
    bool good = succeeded(status);
    if (good)
        report(start, "save", "%zu distinct words to disk, in %zu batch%s", saver->saved, saver->batches,
               saver->batches == 1 ? "" : "es");
    free(saver);
    return good;
}

/* ----------------------------------------------------------------- asking */

struct ranked {
    char *word;
    size_t len;
    uint64_t count;
};

/* The most frequent words, the first one first. */
struct ranking {
    struct ranked top[TOP];
    size_t count;
    uint64_t words, distinct;
    bool out_of_memory;
};

static int rank_word(void *user_data, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct ranking *ranking = user_data;
    uint64_t count = parse_count(value, value_len);
    ranking->words += count;
    ranking->distinct++;
    if (ranking->count == TOP && count <= ranking->top[TOP - 1].count)
        return 1;

    char *word = malloc(key_len + 1);
    if (word == NULL) {
        ranking->out_of_memory = true;
        return 0;
    }
    memcpy(word, key, key_len);
    if (ranking->count < TOP)
        ranking->count++;
    else
        free(ranking->top[TOP - 1].word);
    size_t place = ranking->count - 1;
    for (; place > 0 && ranking->top[place - 1].count < count; place--)
        ranking->top[place] = ranking->top[place - 1];
    ranking->top[place] = (struct ranked){.word = word, .len = key_len, .count = count};
    return 1;
}

/* Prints the most frequent words. `expected` is how many words the text had: none may have got lost on the way. */
static bool print_top(kvds_store *store, size_t expected)
{
    double start = milliseconds();
    struct ranking ranking = {0};
    kvds_status status = kvds_iterate(store, "", 0, rank_word, &ranking);
    bool good = !ranking.out_of_memory && succeeded(status);
    if (ranking.out_of_memory)
        complain("out of memory for the list");
    if (good && ranking.words != expected) {
        complain("the text has %zu words, the store counts %" PRIu64, expected, ranking.words);
        good = false;
    }
    if (good) {
        report(start, "rank", "%" PRIu64 " words, %" PRIu64 " distinct: none is missing", ranking.words,
               ranking.distinct);
        for (size_t i = 0; i < ranking.count; i++) {
            printf("        %2zu.%10" PRIu64 "  ", i + 1, ranking.top[i].count);
            fwrite(ranking.top[i].word, 1, ranking.top[i].len, stdout);
            putchar('\n');
        }
    }
    for (size_t i = 0; i < ranking.count; i++)
        free(ranking.top[i].word);
    return good;
}

struct sum {
    uint64_t words, distinct;
};

static int add_to_sum(void *user_data, const void *key, size_t key_len, const void *value, size_t value_len)
{
    struct sum *sum = user_data;
    (void)key, (void)key_len;
    sum->words += parse_count(value, value_len);
    sum->distinct++;
    return 1;
}

static bool print_prefix(kvds_store *store, const char *prefix)
{
    double start = milliseconds();
    struct sum sum = {0};
    if (!succeeded(kvds_iterate(store, prefix, strlen(prefix), add_to_sum, &sum)))
        return false;
    report(start, "prefix", "%" PRIu64 " words, %" PRIu64 " distinct, begin with \"%s\"", sum.words, sum.distinct,
           prefix);
    return true;
}

/* ------------------------------------------------------------------ steps */

/* A distributor that shows the deaths of its stores. The caller owns it, also when a later step fails. */
static bool open_distributor(const char *base_path, kvds_distributor **out)
{
    uint64_t observer_id;
    return succeeded(kvds_distributor_open(base_path, NULL, out)) &&
           succeeded(kvds_distributor_observe(*out, on_death, stdout, NULL, &observer_id));
}

/* Asks for the disk store, which is made if it is not there. `what` is the step's text. */
static bool open_disk(kvds_distributor *distributor, const char *what, kvds_store **out)
{
    double start = milliseconds();
    bool good = succeeded(kvds_distributor_get_or_create(distributor, STORE_ID, KVDS_DISK, out));
    if (good)
        report(start, "open", "%s", what);
    return good;
}

/* Removes what an earlier run left. */
static bool remove_store(kvds_distributor *distributor)
{
    kvds_status status = kvds_distributor_destroy_store(distributor, STORE_ID);
    return status == KVDS_NOT_FOUND || succeeded(status);
}

/* Counts in memory, saves to disk, and lets go of everything. */
static bool count_and_save(const char *base_path, const struct words *words)
{
    kvds_distributor *distributor = NULL;
    kvds_store *memory = NULL, *disk = NULL;
    bool good = open_distributor(base_path, &distributor) &&
                remove_store(distributor) &&
                succeeded(kvds_distributor_get_or_create(distributor, STORE_ID, KVDS_MEMORY, &memory)) &&
                count_words(memory, words) &&
                open_disk(distributor, "a new disk store", &disk) &&
                save(memory, disk);

    /* Outputs of failed calls are NULL, and releasing NULL does nothing: one way out serves all cases. */
    double start = milliseconds();
    kvds_store_release(memory);
    kvds_store_release(disk);
    kvds_distributor_release(distributor);
    if (good)
        report(start, "drop", "every reference to the stores and to the distributor");
    return good;
}

/* Opens the disk store anew, as another run of the program would, and asks it. */
static bool open_and_ask(const char *base_path, const char *prefix, size_t expected)
{
    kvds_distributor *distributor = NULL;
    kvds_store *disk = NULL;
    bool good = open_distributor(base_path, &distributor) &&
                open_disk(distributor, "the same disk store, with a new distributor", &disk) &&
                print_top(disk, expected) &&
                print_prefix(disk, prefix);

    double start = milliseconds();
    kvds_store_release(disk);
    kvds_distributor_release(distributor);
    if (good)
        report(start, "close", "the disk store");
    return good;
}

/* Removes the directory that this run made, and the store in it, if it came to that. */
static bool remove_all(const char *base_path)
{
    if (rmdir(base_path) == 0)
        return true;
    kvds_distributor *distributor = NULL;
    bool good = succeeded(kvds_distributor_open(base_path, NULL, &distributor)) && remove_store(distributor);
    kvds_distributor_release(distributor);
    if (good && rmdir(base_path) != 0) {
        complain("cannot remove %s: %s", base_path, strerror(errno));
        good = false;
    }
    return good;
}

/* Makes a fresh directory under TMPDIR. The caller frees the path. */
static char *make_directory(void)
{
    static const char NAME[] = "/wordcount-XXXXXX";
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || *parent == '\0')
        parent = "/tmp";
    size_t room = strlen(parent) + sizeof NAME;
    char *path = malloc(room);
    if (path == NULL) {
        complain("out of memory for a path");
        return NULL;
    }
    snprintf(path, room, "%s%s", parent, NAME);
    if (mkdtemp(path) == NULL) {
        complain("cannot make a directory in %s: %s", parent, strerror(errno));
        free(path);
        return NULL;
    }
    return path;
}

static bool run(const char *directory, const char *prefix, const struct words *words)
{
    if (directory != NULL) {
        bool good = count_and_save(directory, words) && open_and_ask(directory, prefix, words->count);
        if (good)
            printf("kept    %s/%s\n", directory, STORE_ID);
        return good;
    }
    char *fresh = make_directory();
    if (fresh == NULL)
        return false;
    bool good = count_and_save(fresh, words) && open_and_ask(fresh, prefix, words->count);
    /* Also after a failure, which has told its reason already. */
    good = remove_all(fresh) && good;
    free(fresh);
    return good;
}

/* ------------------------------------------------------------------- main */

static void print_usage(FILE *out)
{
    fputs("usage: wordcount [-d DIR] [-p PREFIX] FILE...\n"
          "\n"
          "Counts the words of text files in a memory store, saves the counts to a disk store,\n"
          "opens that again, and prints the twenty most frequent words.\n"
          "\n"
          "  -d DIR      keep the disk store in DIR/wordcount; what an earlier run left there is\n"
          "              replaced (default: a fresh directory under $TMPDIR, removed at the end)\n"
          "  -p PREFIX   also say how many words begin with PREFIX (default: re)\n"
          "  -h, --help  print this\n"
          "\n"
          "A word is a run of ASCII letters, upper case taken as lower case, and of bytes beyond\n"
          "ASCII, such as those of UTF-8.\n",
          out);
}

int main(int argc, char **argv)
{
    static const struct option LONG_OPTIONS[] = {{"help", no_argument, NULL, 'h'}, {0}};
    const char *directory = NULL;
    char standard_prefix[] = "re";
    char *prefix = standard_prefix;
    int option;
    while ((option = getopt_long(argc, argv, "d:p:h", LONG_OPTIONS, NULL)) != -1) {
        switch (option) {
        case 'd':
            directory = optarg;
            break;
        case 'p':
            prefix = optarg;
            break;
        case 'h':
            print_usage(stdout);
            return EXIT_SUCCESS;
        default:
            print_usage(stderr);
            return 2;
        }
    }
    if (optind == argc) {
        complain("no file is given");
        print_usage(stderr);
        return 2;
    }
    to_lower(prefix, strlen(prefix));

    struct text text = {0};
    struct words words = {0};
    bool good = read_words(argv + optind, argc - optind, &text, &words) && run(directory, prefix, &words);
    free(words.list);
    free(text.bytes);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
