/*
 * wordcount: counts the words of text files with kvds.
 *
 * Two threads count in a memory store. The counts are written to a disk store in batches. Then the
 * disk store is opened again, and asked for the most frequent words and for all words that begin
 * with a prefix.
 *
 *     cc wordcount.c -lkvds -pthread -o wordcount
 *     ./wordcount [-d DIR] [-p PREFIX] FILE...
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#define _POSIX_C_SOURCE 200809L

#include <kvds.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 500, TOP = 20, WORD_LEN = 256, DIGITS = 21 };

/* Ends the program if a call failed. Each thread has its own last error, so call it on the thread that made the call. */
static void check(kvds_status status)
{
    if (status == KVDS_OK)
        return;
    fprintf(stderr, "wordcount: %s: %s\n", kvds_status_name(status), kvds_last_error());
    exit(1);
}

/* ------------------------------------------------------------------------------------ 1. Count */

struct share {
    pthread_t thread;
    kvds_store *store; /* a reference of the thread's own */
    const char *text, *end;
};

static int is_letter(unsigned char byte)
{
    return isalpha(byte) || byte >= 0x80; /* or a part of a character beyond ASCII */
}

/* Adds 1 to the count of every word: kvds_add is atomic, so threads need no lock between them. */
static void *count(void *argument)
{
    struct share *share = argument;
    for (const char *at = share->text; at < share->end;) {
        char word[WORD_LEN];
        size_t len = 0;
        for (; at < share->end && is_letter((unsigned char)*at); at++)
            if (len < sizeof word)
                word[len++] = (char)tolower((unsigned char)*at);
        if (len > 0)
            check(kvds_add(share->store, word, len, 1, NULL));
        else
            at++;
    }
    kvds_store_release(share->store);
    return NULL;
}

/* ------------------------------------------------------------------------------------- 2. Save */

struct saver {
    kvds_store *disk;
    kvds_batch *batch;
    uint64_t words;
};

/* Called for each word of the memory store. A batch is written whole or not at all. */
static int save(void *user_data, const void *key, size_t key_len, const void *value,
                size_t value_len)
{
    struct saver *saver = user_data;
    char digits[DIGITS];
    snprintf(digits, sizeof digits, "%.*s", (int)value_len, (const char *)value);
    saver->words += strtoull(digits, NULL, 10);
    check(kvds_batch_set(saver->batch, key, key_len, value, value_len));
    if (kvds_batch_count(saver->batch) == BATCH) {
        check(kvds_write(saver->disk, saver->batch));
        kvds_batch_clear(saver->batch);
    }
    return 1;
}

/* ------------------------------------------------------------------------------------- 3. Read */

struct entry {
    uint64_t count;
    char word[WORD_LEN + 1];
};

struct list {
    struct entry top[TOP]; /* sorted, the most frequent word first */
    size_t distinct;
    uint64_t words;
};

/* Called for each word of the disk store, in the order of the words. */
static int rank(void *user_data, const void *key, size_t key_len, const void *value,
                size_t value_len)
{
    struct list *list = user_data;
    struct entry entry;
    char digits[DIGITS];
    snprintf(digits, sizeof digits, "%.*s", (int)value_len, (const char *)value);
    snprintf(entry.word, sizeof entry.word, "%.*s", (int)key_len, (const char *)key);
    entry.count = strtoull(digits, NULL, 10);
    list->words += entry.count;
    list->distinct++;
    for (size_t i = 0; i < TOP; i++)
        if (entry.count > list->top[i].count) {
            struct entry lower = list->top[i];
            list->top[i] = entry;
            entry = lower;
        }
    return 1;
}

/* ---------------------------------------------------------------------------------------- main */

/* Called once for each store, when its last reference is released. */
static void on_death(void *user_data, uint64_t tag, const char *id, kvds_backend backend)
{
    fprintf(user_data, "observer: store %" PRIu64 ", \"%s\" %s, has died\n", tag, id,
            backend == KVDS_MEMORY ? "in memory" : "on disk");
}

static size_t append(char **text, size_t len, const char *path)
{
    FILE *file = fopen(path, "rb");
    for (size_t got = 1; file && got > 0; len += got) {
        *text = realloc(*text, len + BUFSIZ + 1);
        got = *text ? fread(*text + len, 1, BUFSIZ, file) : 0;
    }
    if (!file || ferror(file) || !*text) {
        fprintf(stderr, "wordcount: cannot read %s: %s\n", path, strerror(errno));
        exit(1);
    }
    fclose(file);
    (*text)[len] = '\n'; /* no word continues in the next file */
    return len + 1;
}

int main(int argc, char **argv)
{
    const char *directory = NULL, *prefix = "a";
    char temporary[4096], *text = NULL;
    size_t len = 0;
    for (int option; (option = getopt(argc, argv, "d:p:")) != -1;)
        if (option == 'd')
            directory = optarg;
        else if (option == 'p')
            prefix = optarg;
        else
            optind = argc;
    if (optind >= argc) {
        fprintf(stderr, "usage: wordcount [-d DIR] [-p PREFIX] FILE...\n");
        return 2;
    }
    for (int i = optind; i < argc; i++)
        len = append(&text, len, argv[i]);
    snprintf(temporary, sizeof temporary, "%s/wordcount-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!directory && !mkdtemp(temporary)) {
        perror("wordcount: cannot create a temporary directory");
        return 1;
    }

    uint64_t observer;
    kvds_store *memory, *disk;
    kvds_distributor *distributor = kvds_distributor_new(directory ? directory : temporary);
    check(kvds_distributor_observe(distributor, on_death, stdout, NULL, &observer));
    check(kvds_distributor_get_or_create(distributor, "wordcount", KVDS_MEMORY, &memory));

    const char *middle = text + len / 2;
    while (middle < text + len && is_letter((unsigned char)*middle))
        middle++; /* a word is one thread's */
    struct share shares[] = { { .text = text, .end = middle },
                              { .text = middle, .end = text + len } };
    for (int i = 0; i < 2; i++) {
        shares[i].store = kvds_store_retain(memory);
        if (pthread_create(&shares[i].thread, NULL, count, &shares[i]) != 0)
            abort();
    }
    for (int i = 0; i < 2; i++)
        pthread_join(shares[i].thread, NULL);

    kvds_status opened = kvds_distributor_get_or_create(distributor, "wordcount", KVDS_DISK, &disk);
    if (opened != KVDS_OK && !directory)
        rmdir(temporary);
    check(opened);
    struct saver saver = { .disk = disk, .batch = kvds_batch_new() };
    check(kvds_iterate(memory, NULL, 0, save, &saver));
    check(kvds_write(disk, saver.batch));
    kvds_batch_free(saver.batch);
    printf("read %" PRIu64 " words in %d files\n", saver.words, argc - optind);
    kvds_store_release(memory);
    kvds_store_release(disk);

    struct list all = { 0 }, some = { 0 };
    check(kvds_distributor_get_or_create(distributor, "wordcount", KVDS_DISK, &disk));
    check(kvds_iterate(disk, NULL, 0, rank, &all));
    check(kvds_iterate(disk, prefix, strlen(prefix), rank, &some));
    for (size_t i = 0; i < TOP && all.top[i].count > 0; i++)
        printf("%4zu. %8" PRIu64 "  %s\n", i + 1, all.top[i].count, all.top[i].word);
    printf("prefix: %" PRIu64 " words, %zu distinct, begin with \"%s\"\n", some.words,
           some.distinct, prefix);
    kvds_store_release(disk);
    if (!directory) {
        check(kvds_distributor_destroy_store(distributor, "wordcount"));
        rmdir(temporary);
    }
    kvds_distributor_release(distributor);
    free(text);
    return 0;
}
