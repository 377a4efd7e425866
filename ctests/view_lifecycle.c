/* Views and their store: identity, references, closing and death. */

#include "check.h"
#include "pairs.h"
#include "views.h"

static kvds_store *view_of_kind(enum kind kind, kvds_store *store)
{
    kvds_store *view;
    must_ok(make_view(kind, store, &view));
    return view;
}

/* Kinds that can be read, so that every view can be created of them. */
static const enum kind readable[] = { READ_VIEW, FULL_VIEW, SCOPE, SNAPSHOT };

static void count_death(void *user_data, uint64_t tag, const char *id, kvds_backend backend)
{
    (void)tag, (void)id, (void)backend;
    atomic_fetch_add((atomic_int *)user_data, 1);
}

/*
 * Counts deaths from now on. The counter must outlive the observer, so it is static in each test.
 */
static void count_deaths(const struct fixture *f, atomic_int *deaths)
{
    uint64_t observer;
    atomic_store(deaths, 0);
    assert_ok(kvds_distributor_observe(f->distributor, count_death, deaths, NULL, &observer));
}

static void assert_is_store(const struct fixture *f, kvds_store *view)
{
    assert_int_equal(kvds_store_tag(view), 1);
    assert_string_equal(kvds_store_id(view), "with a tag");
    assert_int_equal(kvds_store_backend(view), f->backend);
    assert_int_equal(kvds_is_open(view), 1);
}

static void a_view_has_the_identity_of_its_store(void **state)
{
    struct fixture *f = *state;
    kvds_store *store = open_store(f->distributor, "with a tag", f->backend);
    assert_is_store(f, store);
    for (size_t i = 0; i < COUNT_OF(readable); i++) {
        kvds_store *view = view_of_kind(readable[i], store), *above = view_of_kind(SCOPE, view);
        assert_is_store(f, view);
        assert_is_store(f, above);
        assert_ok(kvds_close(view));
        assert_string_equal(kvds_store_id(view), "with a tag");
        assert_int_equal(kvds_store_tag(view), 1);
        kvds_store_release(view);
        kvds_store_release(above);
    }
    assert_int_equal(kvds_distributor_store_count(f->distributor), 2);
    kvds_store_release(store);
}

static void a_view_holds_a_reference(void **state)
{
    struct fixture *f = *state;
    kvds_store *views[KINDS];
    for (enum kind kind = 0; kind < KINDS; kind++) {
        views[kind] = view_of_kind(kind, f->store);
        assert_int_equal(kvds_store_ref_count(f->store), kind + 2);
        assert_int_equal(kvds_store_ref_count(views[kind]), 1);
        assert_ptr_equal(kvds_store_retain(views[kind]), views[kind]);
        assert_int_equal(kvds_store_ref_count(views[kind]), 2);
        assert_int_equal(kvds_store_ref_count(f->store), kind + 2);
        assert_int_equal(kvds_store_release(views[kind]), 1);
    }
    for (size_t left = KINDS; left > 0; left--) {
        assert_int_equal(kvds_store_release(views[left - 1]), 0);
        assert_int_equal(kvds_store_ref_count(f->store), left);
    }
}

static void a_store_dies_with_its_last_view(void **state)
{
    static atomic_int deaths;
    struct fixture *f = *state;
    count_deaths(f, &deaths);
    for (size_t i = 0; i < COUNT_OF(readable); i++) {
        reset_pairs(f->store, "a=1");
        int before = atomic_load(&deaths);
        uint64_t tag = kvds_store_tag(f->store);
        kvds_store *view = view_of_kind(readable[i], f->store);
        assert_int_equal(release_store(f), 1);

        must_ok(kvds_exists(view, readable[i] == SCOPE ? "" : "a", readable[i] == SCOPE ? 0 : 1));
        f->store = open_again(f);
        assert_int_equal(kvds_store_tag(f->store), tag);
        assert_int_equal(release_store(f), 1);
        assert_int_equal(deaths, before);

        assert_int_equal(kvds_store_release(view), 0);
        assert_int_equal(deaths, before + 1);
        f->store = open_again(f);
        assert_int_equal(kvds_store_tag(f->store), tag + 1);
    }
    /* The end of a view is not observed. */
    int before = atomic_load(&deaths);
    kvds_store_release(view_of_kind(SCOPE, f->store));
    assert_int_equal(deaths, before);
}

static void views_do_not_need_their_distributor(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "a=1 ab=2");
    kvds_store *scope = view_of_kind(SCOPE, f->store), *snapshot = view_of_kind(SNAPSHOT, scope);
    release_store(f);
    release_distributor(f);
    assert_ok(kvds_set(scope, BYTES("c"), BYTES("3")));
    assert_pairs("=1 b=2 c=3", scope);
    assert_pairs("=1 b=2", snapshot);
    kvds_store_release(scope);
    assert_pairs("=1 b=2", snapshot);
    kvds_store_release(snapshot);
}

/* A view of a view is a view of the store: the view between can be closed or released. */
static void views_of_views_need_only_the_store(void **state)
{
    static atomic_int deaths;
    struct fixture *f = *state;
    count_deaths(f, &deaths);
    for (size_t i = 0; i < COUNT_OF(readable); i++) {
        for (size_t j = 0; j < COUNT_OF(readable); j++) {
            for (int closed = 0; closed <= 1; closed++) {
                int before = atomic_load(&deaths);
                reset_pairs(f->store, "a=1 aa=2");
                kvds_store *below = view_of_kind(readable[i], f->store),
                           *above = view_of_kind(readable[j], below);
                struct pairs shown = pairs_under(above, NULL, 0);
                if (closed)
                    assert_ok(kvds_close(below));
                else
                    kvds_store_release(below);
                release_store(f);
                assert_int_equal(kvds_is_open(above), 1);
                assert_pairs(shown.text, above);
                assert_int_equal(deaths, before);
                assert_int_equal(kvds_store_release(above), 0);
                if (closed)
                    kvds_store_release(below);
                assert_int_equal(deaths, before + 1);
                f->store = open_again(f);
            }
        }
    }
}

static void closing_a_view_closes_it_alone(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "a=1");
    for (enum kind kind = 0; kind < KINDS; kind++) {
        kvds_store *view = view_of_kind(kind, f->store), *other = view_of_kind(kind, f->store);
        assert_ok(kvds_close(view));
        must_allow(0, KVDS_CLOSED, view);
        assert_returns(KVDS_CLOSED, kvds_close(view));
        assert_int_equal(kvds_is_open(view), 0);
        assert_int_equal(kvds_store_release(view), 0);

        assert_int_equal(kvds_is_open(other), 1);
        assert_int_equal(kvds_is_open(f->store), 1);
        assert_ok(kvds_close(other));
        kvds_store_release(other);
        assert_pairs("a=1", f->store);
    }
    assert_int_equal(kvds_store_ref_count(f->store), 1);
}

/* Each kind of view of each kind. On a closed store, forbidden calls may return KVDS_DENIED. */
static void closing_the_store_closes_its_views(void **state)
{
    static atomic_int deaths;
    struct fixture *f = *state;
    count_deaths(f, &deaths);
    for (size_t i = 0; i < COUNT_OF(readable); i++) {
        for (size_t j = 0; j < COUNT_OF(readable); j++) {
            int before = atomic_load(&deaths);
            kvds_store *below = view_of_kind(readable[i], f->store),
                       *above = view_of_kind(readable[j], below);
            kvds_store *views[] = { below, above };
            assert_ok(kvds_close(f->store));
            must_allow(0, KVDS_CLOSED, f->store);
            for (size_t k = 0; k < COUNT_OF(views); k++) {
                kvds_store *none = f->store;
                assert_int_equal(kvds_is_open(views[k]), 0);
                must_allow(0, KVDS_CLOSED, views[k]);
                assert_returns(KVDS_CLOSED, kvds_store_scope(views[k], BYTES("a"), &none));
                assert_null(none);
                assert_returns(KVDS_CLOSED, kvds_exists(views[k], BYTES("a")));
                assert_returns(KVDS_CLOSED, kvds_iterate(views[k], NULL, 0, pass_over, NULL));
                assert_returns(KVDS_CLOSED, kvds_store_snapshot(views[k], &none));
                assert_null(none);
                assert_returns(KVDS_CLOSED, kvds_close(views[k]));
            }
            release_store(f);
            kvds_store_release(below);
            assert_int_equal(deaths, before);
            kvds_store_release(above);
            assert_int_equal(deaths, before + 1);
            f->store = open_again(f);
        }
    }
    kvds_store *full = view_of_kind(FULL_VIEW, f->store), *scope = view_of_kind(SCOPE, full);
    assert_ok(kvds_distributor_shutdown(f->distributor));
    must_return_everywhere(KVDS_CLOSED, full);
    must_return_everywhere(KVDS_CLOSED, scope);
    kvds_store_release(full);
    kvds_store_release(scope);
}

static void null_and_invalid_arguments_are_errors(void **state)
{
    struct fixture *f = *state;
    must_allow(0, KVDS_INVALID_ARGUMENT, NULL);
    must_allow(0, KVDS_INVALID_ARGUMENT, (kvds_store *)f->distributor);
    for (enum kind kind = 0; kind < KINDS; kind++) {
        kvds_store *none = f->store;
        assert_invalid(make_view(kind, NULL, &none));
        assert_error_says("NULL");
        assert_null(none);
        assert_invalid(make_view(kind, f->store, NULL));
        assert_error_says("out");
    }
    kvds_store *none = f->store;
    assert_invalid(kvds_store_scope(f->store, NULL, 1, &none));
    assert_error_says("prefix");
    assert_null(none);
    assert_int_equal(kvds_store_ref_count(f->store), 1);
}

/* An iteration over a view that its callback ends. */
struct walk {
    struct fixture *f;
    kvds_store *view;
    void (*act)(struct walk *);
    struct pairs shown;
};

static int walk_on(void *user_data, const void *key, size_t key_len, const void *value,
                   size_t value_len)
{
    struct walk *walk = user_data;
    if (walk->shown.len == 0)
        walk->act(walk);
    return append_pair(&walk->shown, key, key_len, value, value_len);
}

static void release_view(struct walk *walk)
{
    must(kvds_store_release(walk->view) == 0);
    walk->view = NULL;
}

static void release_everything(struct walk *walk)
{
    must(release_store(walk->f) == 1);
    release_view(walk);
}

static void close_view(struct walk *walk)
{
    must_ok(kvds_close(walk->view));
    must_return(KVDS_CLOSED, kvds_exists(walk->view, BYTES("a")));
}

static void close_store(struct walk *walk)
{
    must_ok(kvds_close(walk->f->store));
    must_return(KVDS_CLOSED, kvds_exists(walk->view, BYTES("a")));
    release_store(walk->f);
}

static void a_callback_may_release_the_view_that_it_iterates(void **state)
{
    static void (*const acts[])(struct walk *) = { release_view, release_everything, close_view,
                                                   close_store };
    static atomic_int deaths;
    struct fixture *f = *state;
    count_deaths(f, &deaths);
    for (size_t i = 0; i < COUNT_OF(readable); i++) {
        for (size_t j = 0; j < COUNT_OF(acts); j++) {
            int before = atomic_load(&deaths);
            reset_pairs(f->store, "a=1 ab=2 ac=3");
            struct walk walk = { .f = f,
                                 .view = view_of_kind(readable[i], f->store),
                                 .act = acts[j] };
            assert_ok(kvds_iterate(walk.view, NULL, 0, walk_on, &walk));
            assert_string_equal(walk.shown.text,
                                readable[i] == SCOPE ? "=1 b=2 c=3" : "a=1 ab=2 ac=3");
            kvds_store_release(walk.view);
            release_store(f);
            assert_int_equal(deaths, before + 1);
            f->store = open_again(f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_view_has_the_identity_of_its_store),
        ON_BOTH(a_view_holds_a_reference),
        ON_BOTH(a_store_dies_with_its_last_view),
        ON_BOTH(views_do_not_need_their_distributor),
        ON_BOTH(views_of_views_need_only_the_store),
        ON_BOTH(closing_a_view_closes_it_alone),
        ON_BOTH(closing_the_store_closes_its_views),
        ON_BOTH(null_and_invalid_arguments_are_errors),
        ON_BOTH(a_callback_may_release_the_view_that_it_iterates),
    };
    return RUN("view_lifecycle", tests);
}
