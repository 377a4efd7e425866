/*
 * bank: transfers money between accounts with kvds, and never loses or creates any.
 *
 * Several threads transfer between the same few accounts. Each transfer is a conditional batch that
 * sets both balances if neither has changed since the thread read it. Meanwhile an auditor adds up
 * all accounts in snapshots, and must get the same total each time. The program has no locks.
 *
 *     cc bank.c -lkvds -pthread -o bank
 *     ./bank
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#define _POSIX_C_SOURCE 200809L

#include <kvds.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TELLERS = 4,      /* threads that transfer */
    TRANSFERS = 2000, /* by each of them */
    ACCOUNTS = 10,    /* few, so that tellers often conflict */
    OPENING = 1000,   /* balance of each account at the start */
    NUMBER_ROOM = 21, /* bytes of any int64_t as decimal text with a NUL */
    NAME_ROOM = 24,
};

static const int64_t TOTAL = (int64_t)ACCOUNTS * OPENING;

/* The prefix of the keys of accounts. */
static const char ACCOUNT[] = "account/";

struct bank {
    kvds_store *store;
    atomic_uint tellers; /* started so far */
    atomic_uint_fast64_t retries;
};

/* Returns whether a call of this thread returned KVDS_OK, and prints why if it did not. */
static bool succeeded(kvds_status status)
{
    if (status < 0)
        fprintf(stderr, "bank: %s: %s\n", kvds_status_name(status), kvds_last_error());
    else if (status > 0)
        fprintf(stderr, "bank: unexpected status %s\n", kvds_status_name(status));
    return status == KVDS_OK;
}

/* An account as a thread read it. A batch compares the text with the value in the store. */
struct account {
    char name[NAME_ROOM];
    char text[NUMBER_ROOM];
    size_t text_len;
    int64_t balance;
};

/* No NUL follows a value, so the buffer keeps room for one. */
static bool read_account(kvds_store *store, unsigned number, struct account *account)
{
    snprintf(account->name, sizeof account->name, "%s%02u", ACCOUNT, number);
    kvds_status status = kvds_get_into(store, account->name, strlen(account->name), account->text,
                                       sizeof account->text - 1, &account->text_len);
    if (!succeeded(status))
        return false;
    account->text[account->text_len] = '\0';
    account->balance = strtoll(account->text, NULL, 10);
    return true;
}

/* Adds to the batch: change the balance by `amount`, if it is still what the thread read. */
static bool change_balance(kvds_batch *batch, const struct account *account, int64_t amount)
{
    char text[NUMBER_ROOM];
    int len = snprintf(text, sizeof text, "%" PRId64, account->balance + amount);
    size_t name_len = strlen(account->name);
    return succeeded(kvds_batch_expect(batch, account->name, name_len, account->text,
                                       account->text_len)) &&
           succeeded(kvds_batch_set(batch, account->name, name_len, text, (size_t)len));
}

/* Transfers money. If a balance has changed in the meantime, reads both again and retries. */
static bool transfer(struct bank *bank, kvds_batch *batch, unsigned from, unsigned to,
                     int64_t amount)
{
    for (;;) {
        struct account payer, payee;
        if (!read_account(bank->store, from, &payer) || !read_account(bank->store, to, &payee))
            return false;
        if (payer.balance < amount)
            return true; /* too little money: no transfer */
        if (amount == 1)
            sched_yield(); /* lets other threads change the balances */
        kvds_batch_clear(batch);
        if (!change_balance(batch, &payer, -amount) || !change_balance(batch, &payee, amount))
            return false;
        kvds_status status = kvds_write(bank->store, batch);
        if (status != KVDS_MISMATCH)
            return succeeded(status);
        atomic_fetch_add(&bank->retries, 1);
    }
}

/* Returns NULL after an error. */
static void *serve(void *argument)
{
    struct bank *bank = argument;
    kvds_batch *batch = kvds_batch_new();
    uint32_t random =
        atomic_fetch_add(&bank->tellers, 1); /* a different sequence for each teller */
    bool good = batch != NULL;
    for (int i = 0; good && i < TRANSFERS; i++) {
        random = random * 1664525 + 1013904223;
        unsigned from = (random >> 8) % ACCOUNTS, step = 1 + (random >> 16) % (ACCOUNTS - 1);
        good = transfer(bank, batch, from, (from + step) % ACCOUNTS, 1 + (random >> 24) % 50);
    }
    kvds_batch_free(batch);
    return good ? bank : NULL;
}

/* Adds up all accounts in a snapshot, while the tellers continue to transfer. */
static bool audit(kvds_store *store, int64_t *sum)
{
    kvds_store *snapshot;
    bool good = succeeded(kvds_store_snapshot(store, &snapshot));
    *sum = 0;
    for (unsigned i = 0; good && i < ACCOUNTS; i++) {
        struct account account;
        good = read_account(snapshot, i, &account);
        *sum += good ? account.balance : 0;
    }
    /* After an error the output is NULL, and releasing NULL does nothing. */
    kvds_store_release(snapshot);
    if (good && *sum != TOTAL) {
        fprintf(stderr, "bank: the accounts have %" PRId64 ", not %" PRId64 "\n", *sum, TOTAL);
        good = false;
    }
    return good;
}

struct auditor {
    kvds_store *store;
    atomic_bool closing;
    uint64_t audits;
};

static void *audit_until_closing(void *argument)
{
    struct auditor *auditor = argument;
    bool good = true;
    int64_t sum;
    do
        good = audit(auditor->store, &sum);
    while (good && ++auditor->audits && !atomic_load(&auditor->closing));
    return good ? auditor : NULL;
}

static bool open_accounts(kvds_store *store)
{
    bool good = true;
    for (unsigned i = 0; good && i < ACCOUNTS; i++) {
        char name[NAME_ROOM];
        int len = snprintf(name, sizeof name, "%s%02u", ACCOUNT, i);
        good = succeeded(kvds_add(store, name, (size_t)len, OPENING, NULL));
    }
    return good;
}

/* Runs the tellers and the auditor. Waits for every thread that was started. */
static bool do_business(kvds_store *store, uint64_t *retries, uint64_t *audits)
{
    struct bank bank = { .store = store };
    struct auditor auditor = { .store = store };
    pthread_t tellers[TELLERS], auditing;
    int started = 0;
    bool good = pthread_create(&auditing, NULL, audit_until_closing, &auditor) == 0, audited = good;
    while (good && started < TELLERS && pthread_create(&tellers[started], NULL, serve, &bank) == 0)
        started++;
    if (started < TELLERS) {
        fputs("bank: cannot start a thread\n", stderr);
        good = false;
    }
    void *result;
    for (int i = 0; i < started; i++)
        good = pthread_join(tellers[i], &result) == 0 && result != NULL && good;
    atomic_store(&auditor.closing, true);
    if (audited)
        good = pthread_join(auditing, &result) == 0 && result != NULL && good;
    *retries = atomic_load(&bank.retries);
    *audits = auditor.audits;
    return good;
}

int main(void)
{
    kvds_distributor *distributor = NULL;
    kvds_store *store = NULL;
    uint64_t retries = 0, audits = 0;
    int64_t sum = 0;
    /* Without a base path there are only memory stores. Disk stores do the same. */
    bool good =
        succeeded(kvds_distributor_open(NULL, NULL, &distributor)) &&
        succeeded(kvds_distributor_get_or_create(distributor, "bank", KVDS_MEMORY, &store)) &&
        open_accounts(store) && do_business(store, &retries, &audits) && audit(store, &sum);
    if (good) {
        printf("transfers  %d, by %d tellers over %d accounts\n", TELLERS * TRANSFERS, TELLERS,
               ACCOUNTS);
        printf("retries    %" PRIu64 ", because another teller was faster\n", retries);
        printf("audits     %" PRIu64 " in snapshots meanwhile, all correct\n", audits);
        printf("balance    %" PRId64 ", as at the start\n", sum);
    }
    kvds_store_release(store);
    kvds_distributor_release(distributor);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
