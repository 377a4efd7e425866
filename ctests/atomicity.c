/* Several threads work on several keys: no thread sees half of a write, and no write is lost. */

#include "check.h"

enum { MOST_THREADS = 16 };

/* Runs a function on several threads, and `meanwhile` on this thread, if it is not NULL. */
static void run_threads(size_t count, void *(*run)(void *), void *shared,
                        void (*meanwhile)(void *shared))
{
    pthread_t threads[MOST_THREADS];
    assert_true(count <= MOST_THREADS);
    for (size_t i = 0; i < count; i++)
        threads[i] = start(run, shared);
    if (meanwhile)
        meanwhile(shared);
    for (size_t i = 0; i < count; i++)
        join(threads[i]);
}

/* A pseudo-random number. Each thread has a state of its own. */
static uint32_t next_number(uint32_t *number)
{
    *number = *number * 1664525 + 1013904223;
    return *number >> 8;
}

enum { ACCOUNTS = 100, MOVERS = 16, OPENING = 1000, MONEY = ACCOUNTS * OPENING };

struct bank {
    kvds_store *store;
    size_t transfers;
    atomic_uint movers, running;
};

static int64_t number_in(const void *value, size_t len)
{
    char text[24] = "";
    must(len < sizeof text);
    memcpy(text, value, len);
    return strtoll(text, NULL, 10);
}

static int64_t balance_of(kvds_store *store, struct text account, struct text *written)
{
    must_ok(kvds_get_into(store, account.data, account.len, written->data, sizeof written->data,
                          &written->len));
    return number_in(written->data, written->len);
}

/* Adds to the batch: change a balance by `amount`, if it is still what this thread read. */
static void change(kvds_batch *batch, struct text account, struct text before, int64_t after)
{
    const struct text now = text_of("%lld", (long long)after);
    must_ok(kvds_batch_expect(batch, account.data, account.len, before.data, before.len));
    must_ok(kvds_batch_set(batch, account.data, account.len, now.data, now.len));
}

static void *move_money(void *argument)
{
    struct bank *bank = argument;
    uint32_t number = atomic_fetch_add(&bank->movers, 1);
    kvds_batch *batch = kvds_batch_new();
    for (size_t done = 0; done < bank->transfers;) {
        uint32_t from = next_number(&number) % ACCOUNTS,
                 step = 1 + next_number(&number) % (ACCOUNTS - 1);
        const struct text payer = text_of("account-%02u", from);
        const struct text payee = text_of("account-%02u", (from + step) % ACCOUNTS);
        struct text payers, payees;
        int64_t available = balance_of(bank->store, payer, &payers),
                before = balance_of(bank->store, payee, &payees);
        int64_t amount = available > 0 ? next_number(&number) % available + 1 : 0;
        kvds_batch_clear(batch);
        change(batch, payer, payers, available - amount);
        change(batch, payee, payees, before + amount);
        kvds_status status = kvds_write(bank->store, batch);
        must(status == KVDS_OK || status == KVDS_MISMATCH);
        done += status == KVDS_OK;
    }
    kvds_batch_free(batch);
    atomic_fetch_sub(&bank->running, 1);
    return NULL;
}

struct sum {
    size_t accounts;
    int64_t money;
};

static int add_balance(void *user_data, const void *key, size_t key_len, const void *value,
                       size_t value_len)
{
    struct sum *sum = user_data;
    (void)key, (void)key_len;
    int64_t balance = number_in(value, value_len);
    must(balance >= 0);
    sum->accounts++;
    sum->money += balance;
    return 1;
}

static void must_balance(struct sum sum)
{
    must(sum.accounts == ACCOUNTS);
    must(sum.money == MONEY);
}

static void sum_by_iteration(kvds_store *store)
{
    struct sum sum = { 0, 0 };
    must_ok(kvds_iterate(store, BYTES("account-"), add_balance, &sum));
    must_balance(sum);
}

static void sum_by_cursor(kvds_store *store)
{
    const kvds_range range = { .prefix = "account-", .prefix_len = 8 };
    struct sum sum = { 0, 0 };
    kvds_cursor *cursor;
    must_ok(kvds_cursor_new(store, &range, &cursor));
    for (kvds_status status = kvds_cursor_last(cursor); status == KVDS_OK;
         status = kvds_cursor_prev(cursor)) {
        kvds_bytes balance;
        must_ok(kvds_cursor_value(cursor, &balance));
        add_balance(&sum, NULL, 0, balance.data, balance.len);
    }
    kvds_cursor_free(cursor);
    must_balance(sum);
}

static void sum_by_many_keys(kvds_store *store)
{
    struct text names[ACCOUNTS];
    kvds_bytes keys[ACCOUNTS];
    kvds_value balances[ACCOUNTS];
    kvds_status statuses[ACCOUNTS];
    struct sum sum = { 0, 0 };
    for (size_t i = 0; i < ACCOUNTS; i++) {
        names[i] = text_of("account-%02zu", i);
        keys[i] = (kvds_bytes){ names[i].data, names[i].len };
    }
    must_ok(kvds_multi_get(store, keys, ACCOUNTS, balances, statuses));
    for (size_t i = 0; i < ACCOUNTS; i++) {
        must_ok(statuses[i]);
        add_balance(&sum, NULL, 0, balances[i].data, balances[i].len);
        kvds_value_release(&balances[i]);
    }
    must_balance(sum);
}

/* A snapshot has the same sum by every way of reading, account by account too. */
static void sum_in_a_snapshot(kvds_store *store)
{
    kvds_store *snapshot;
    struct sum sum = { 0, 0 };
    must_ok(kvds_store_snapshot(store, &snapshot));
    for (size_t i = 0; i < ACCOUNTS; i++) {
        struct text balance;
        int64_t money = balance_of(snapshot, text_of("account-%02zu", i), &balance);
        sum = (struct sum){ sum.accounts + 1, sum.money + money };
    }
    must_balance(sum);
    sum_by_iteration(snapshot);
    must(kvds_store_release(snapshot) == 0);
}

static void audit(void *shared)
{
    static void (*const sums[])(kvds_store *) = {
        sum_by_iteration,
        sum_by_cursor,
        sum_by_many_keys,
        sum_in_a_snapshot,
    };
    const struct bank *bank = shared;
    for (size_t turn = 0; turn < COUNT_OF(sums) || atomic_load(&bank->running) > 0; turn++)
        sums[turn % COUNT_OF(sums)](bank->store);
}

static void transfers_keep_the_total(void **state)
{
    struct fixture *f = *state;
    struct bank bank = {
        .store = f->store, .transfers = scaled(1000), .movers = 0, .running = MOVERS
    };
    /* Neighboring keys are not accounts. */
    assert_ok(kvds_set(f->store, BYTES("account"), BYTES("1")));
    assert_ok(kvds_set(f->store, BYTES("account."), BYTES("1")));
    for (size_t i = 0; i < ACCOUNTS; i++) {
        const struct text account = text_of("account-%02zu", i), balance = text_of("%d", OPENING);
        assert_ok(kvds_set(f->store, account.data, account.len, balance.data, balance.len));
    }
    run_threads(MOVERS, move_money, &bank, audit);
    sum_by_iteration(f->store);
}

enum { COUNTERS = 8, MOST_ADDITIONS = 5000 };

struct counter {
    kvds_store *store;
    size_t additions;
    atomic_uchar seen[COUNTERS * MOST_ADDITIONS + 1];
};

/* Each sum is returned once. */
static void *add_repeatedly(void *argument)
{
    struct counter *counter = argument;
    for (size_t i = 0; i < counter->additions; i++) {
        int64_t sum;
        must_ok(kvds_add(counter->store, BYTES("counter"), 1, &sum));
        must(sum > 0 && (size_t)sum < sizeof counter->seen);
        must(atomic_fetch_add(&counter->seen[sum], 1) == 0);
        must_ok(kvds_add(counter->store, BYTES("balance"), i % 2 ? -3 : 3, NULL));
    }
    return NULL;
}

static void no_addition_is_lost(void **state)
{
    struct fixture *f = *state;
    struct counter *counter = calloc(1, sizeof *counter);
    counter->store = f->store;
    counter->additions = scaled(MOST_ADDITIONS / 2) * 2;
    run_threads(COUNTERS, add_repeatedly, counter, NULL);
    const struct text total = text_of("%zu", COUNTERS * counter->additions);
    assert_true(has(f->store, BYTES("counter"), total.data, total.len));
    assert_true(has(f->store, BYTES("balance"), BYTES("0")));
    free(counter);
}

/* The thread that sets the key also deletes it, as with a lock, however many threads try. */
struct lock {
    kvds_store *store;
    size_t turns;
    atomic_uint owners;
    uint64_t unprotected;
};

static void *take_turns(void *argument)
{
    struct lock *lock = argument;
    const struct text me = text_of("owner-%u", atomic_fetch_add(&lock->owners, 1));
    for (size_t done = 0; done < lock->turns;) {
        kvds_status status = kvds_set_nx(lock->store, BYTES("lock"), me.data, me.len);
        if (status == KVDS_OK) {
            lock->unprotected++;
            must_ok(kvds_compare_and_delete(lock->store, BYTES("lock"), me.data, me.len));
            done++;
        } else {
            must_return(KVDS_EXISTS, status);
            status = kvds_compare_and_delete(lock->store, BYTES("lock"), me.data, me.len);
            must(status == KVDS_MISMATCH || status == KVDS_NOT_FOUND);
        }
    }
    return NULL;
}

static void only_the_owner_releases_a_lock(void **state)
{
    enum { OWNERS = 4 };
    struct fixture *f = *state;
    struct lock lock = { .store = f->store, .turns = scaled(1000), .owners = 0, .unprotected = 0 };
    run_threads(OWNERS, take_turns, &lock, NULL);
    assert_int_equal(lock.unprotected, OWNERS * lock.turns);
}

/* Sets and deletes a group of keys together, repeatedly. */
enum { GROUP = 50 };

struct group {
    kvds_store *store;
    size_t rounds;
    atomic_bool done;
};

static void *set_and_remove(void *argument)
{
    struct group *group = argument;
    kvds_batch *batch = kvds_batch_new();
    for (size_t round = 0; round < group->rounds; round++) {
        kvds_batch_clear(batch);
        for (size_t i = 0; i < GROUP; i++) {
            const struct text key = text_of("group-%zu", i);
            must_ok(kvds_batch_set(batch, key.data, key.len, &round, sizeof round));
        }
        must_ok(kvds_write(group->store, batch));
        must_ok(kvds_delete_prefix(group->store, BYTES("group-")));
    }
    kvds_batch_free(batch);
    atomic_store(&group->done, true);
    return NULL;
}

struct members {
    size_t count, round;
};

static int note_member(void *user_data, const void *key, size_t key_len, const void *value,
                       size_t value_len)
{
    struct members *members = user_data;
    size_t round;
    (void)key, (void)key_len;
    must(value_len == sizeof round);
    memcpy(&round, value, sizeof round);
    must(members->count == 0 || members->round == round);
    *members = (struct members){ members->count + 1, round };
    return 1;
}

static void watch_group(void *shared)
{
    const struct group *group = shared;
    while (!atomic_load(&group->done)) {
        struct members members = { 0, 0 };
        must_ok(kvds_iterate(group->store, BYTES("group-"), note_member, &members));
        must(members.count == 0 || members.count == GROUP);

        const kvds_bytes keys[] = { { BYTES("group-0") }, { BYTES("group-49") } };
        kvds_value values[2];
        kvds_status statuses[2];
        must_ok(kvds_multi_get(group->store, keys, 2, values, statuses));
        must(statuses[0] == statuses[1]);
        must(values[0].len == values[1].len);
        must(values[0].len == 0 || memcmp(values[0].data, values[1].data, values[0].len) == 0);
        kvds_value_release(&values[0]);
        kvds_value_release(&values[1]);
    }
}

static void a_batch_is_visible_as_a_whole_or_not_at_all(void **state)
{
    struct fixture *f = *state;
    struct group group = { .store = f->store, .rounds = scaled(1000), .done = false };
    assert_ok(kvds_set(f->store, BYTES("group"), BYTES("stays")));
    assert_ok(kvds_set(f->store, BYTES("group."), BYTES("stays")));
    run_threads(1, set_and_remove, &group, watch_group);
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("group-0")));
    assert_true(has(f->store, BYTES("group"), BYTES("stays")));
    assert_true(has(f->store, BYTES("group."), BYTES("stays")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(transfers_keep_the_total),
        ON_BOTH(no_addition_is_lost),
        ON_BOTH(only_the_owner_releases_a_lock),
        ON_BOTH(a_batch_is_visible_as_a_whole_or_not_at_all),
    };
    return RUN("atomicity", tests);
}
