/*
 * wordcount: counts the words of text files with kvds.
 *
 * One thread per file counts in a memory store. A batch copies the counts to a disk store. Then the
 * disk store is opened again and read: the most frequent words, and all words with a prefix.
 *
 *     cc wordcount.c -lkvds -pthread -o wordcount
 *     ./wordcount [-d DIR] [-p PREFIX] FILE...
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#define _DEFAULT_SOURCE

#include <kvds.h>

#include <ctype.h>
#include <err.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TOP = 20, WORD_LEN = 256 };

/* Ends the program if a call of this thread failed. */
static void check(kvds_status status)
{
    if (status != KVDS_OK)
        errx(1, "%s: %s", kvds_status_name(status), kvds_last_error());
}

struct job {
    pthread_t thread;
    kvds_store *store;
    const char *path;
    uint64_t words;
};

/* Counts the words of one file. kvds_add is atomic, so the threads need no lock. */
static void *count(void *argument)
{
    struct job *job = argument;
    char word[WORD_LEN];
    size_t len = 0;
    FILE *file = fopen(job->path, "rb");
    for (int byte = 0; file && byte != EOF;) {
        byte = getc(file);
        if (isalpha(byte) || byte >= 0x80) { /* a letter, or a part of one beyond ASCII */
            if (len < sizeof word)
                word[len++] = (char)tolower(byte);
        } else if (len > 0) {
            check(kvds_add(job->store, word, len, 1, NULL));
            job->words++;
            len = 0;
        }
    }
    if (!file || ferror(file))
        err(1, "%s", job->path);
    fclose(file);
    return NULL;
}

/* Called for each pair of the memory store: adds it to a batch. */
static int save(void *batch, const void *key, size_t key_len, const void *value, size_t value_len)
{
    check(kvds_batch_set(batch, key, key_len, value, value_len));
    return 1;
}

struct list {
    struct entry {
        uint64_t count;
        char word[WORD_LEN + 1];
    } top[TOP]; /* the most frequent word first */
    uint64_t words, distinct;
};

/* Called for each pair of the disk store, in the order of the words. */
static int rank(void *user_data, const void *key, size_t key_len, const void *value,
                size_t value_len)
{
    struct list *list = user_data;
    struct entry entry = { .count = 0 };
    snprintf(entry.word, sizeof entry.word, "%.*s", (int)key_len, (const char *)key);
    for (const char *digit = value; digit < (const char *)value + value_len; digit++)
        entry.count = entry.count * 10 + (uint64_t)(*digit - '0');
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

/* Called when the last reference to a store has been released. */
static void on_death(void *out, uint64_t tag, const char *id, kvds_backend backend)
{
    fprintf(out, "observer: store %" PRIu64 ", \"%s\" %s, has died\n", tag, id,
            backend == KVDS_MEMORY ? "in memory" : "on disk");
}

static char temporary[4096];

static void remove_temporary(void) { rmdir(temporary); }

int main(int argc, char **argv)
{
    const char *directory = NULL, *prefix = "a", *tmp = getenv("TMPDIR");
    for (int option; (option = getopt(argc, argv, "d:p:")) != -1;)
        if (option == 'd')
            directory = optarg;
        else if (option == 'p')
            prefix = optarg;
        else
            optind = argc;
    const int files = argc - optind;
    if (files < 1)
        errx(2, "usage: wordcount [-d DIR] [-p PREFIX] FILE...");

    if (!directory) {
        snprintf(temporary, sizeof temporary, "%s/wordcount-XXXXXX", tmp ? tmp : "/tmp");
        if (!(directory = mkdtemp(temporary)) || atexit(remove_temporary) != 0)
            err(1, "%s", temporary);
    }

    /* 1. Count in memory, with one thread per file. */
    uint64_t observer, words = 0;
    kvds_store *memory, *disk;
    kvds_distributor *distributor = kvds_distributor_new(directory);
    check(kvds_distributor_observe(distributor, on_death, stdout, NULL, &observer));
    check(kvds_distributor_get_or_create(distributor, "wordcount", KVDS_MEMORY, &memory));
    struct job *jobs = calloc((size_t)files, sizeof *jobs);
    for (int i = 0; i < files; i++) {
        jobs[i].store = memory;
        jobs[i].path = argv[optind + i];
        if (pthread_create(&jobs[i].thread, NULL, count, &jobs[i]) != 0)
            errx(1, "no thread can be started");
    }
    for (int i = 0; i < files; i++) {
        pthread_join(jobs[i].thread, NULL);
        words += jobs[i].words;
    }
    free(jobs);
    printf("read %" PRIu64 " words in %d files\n", words, files);

    /* 2. Save. A batch is written whole or not at all. */
    kvds_batch *batch = kvds_batch_new();
    check(kvds_iterate(memory, NULL, 0, save, batch));
    check(kvds_distributor_get_or_create(distributor, "wordcount", KVDS_DISK, &disk));
    check(kvds_write(disk, batch));
    kvds_batch_free(batch);
    kvds_store_release(memory); /* the last reference: the data is gone */
    kvds_store_release(disk);   /* the last reference: the files are closed */

    /* 3. Open the store again and read. */
    struct list all = { .words = 0 }, some = { .words = 0 };
    check(kvds_distributor_get_or_create(distributor, "wordcount", KVDS_DISK, &disk));
    check(kvds_iterate(disk, NULL, 0, rank, &all));
    check(kvds_iterate(disk, prefix, strlen(prefix), rank, &some));
    for (int i = 0; i < TOP && all.top[i].count > 0; i++)
        printf("%4d. %8" PRIu64 "  %s\n", i + 1, all.top[i].count, all.top[i].word);
    printf("prefix: %" PRIu64 " words, %" PRIu64 " distinct, begin with \"%s\"\n", some.words,
           some.distinct, prefix);
    kvds_store_release(disk);
    if (directory == temporary)
        check(kvds_distributor_destroy_store(distributor, "wordcount"));
    kvds_distributor_release(distributor);
    return 0;
}
