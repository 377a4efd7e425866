//! Tests what every engine must do, on all engines and on scopes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kvds::testing::{Conflict, Cursor, Expectation, Operation, Outcome, Range, Reader, WriteBatch};
use testkit::engines::{Make, delete, get, no_lease, set, write};

testkit::for_every_engine! {
    a_new_engine_is_empty
    any_bytes_are_keys_and_values
    keys_are_ordered_as_memcmp_orders_them
    a_prefix_range_has_exactly_the_keys_with_the_prefix
    the_last_operation_on_a_key_wins
    a_failed_expectation_refuses_the_whole_batch
    expectations_are_checked_before_the_operations
    delete_range_deletes_exactly_the_range
    get_many_returns_one_value_per_key
    a_snapshot_never_changes
    snapshots_can_be_dropped_in_any_order
    a_cursor_moves_forward_and_backward
    a_cursor_stays_in_its_range
    a_cursor_does_not_see_later_writes
    a_scan_callback_can_write_to_the_store
    values_cursors_and_snapshots_outlive_the_engine
}

fn pairs(reader: &dyn Reader, range: Range) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    let complete = reader.scan(range, &mut |key, value| {
        pairs.push((key.to_vec(), value.to_vec()));
        true
    });
    assert!(complete.expect("the scan works"));
    pairs
}

fn keys(reader: &dyn Reader, range: Range) -> Vec<Vec<u8>> {
    pairs(reader, range).into_iter().map(|(key, _)| key).collect()
}

fn all() -> Range {
    Range::prefix(b"")
}

fn at(cursor: &dyn Cursor) -> Option<&[u8]> {
    cursor.entry().map(|(key, _)| key)
}

fn a_new_engine_is_empty(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    assert_eq!(get(&*bench.engine, b"key"), None);
    assert_eq!(pairs(&*bench.engine, all()), []);
    Ok(())
}

fn any_bytes_are_keys_and_values(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let long = vec![0xAB; bench.longest];
    let big = vec![0xCD; bench.longest_value];
    let cases: [(&[u8], &[u8]); 6] = [
        (b"", b"empty key"),
        (b"empty value", b""),
        (b"\0", b"\0"),
        (b"a\0b", b"\0\0"),
        (&long, b"x"),
        (b"big", &big),
    ];
    for (key, value) in cases {
        write(&*bench.engine, &[set(key, value)]);
    }
    for (key, value) in cases {
        assert_eq!(get(&*bench.engine, key).as_deref(), Some(value));
    }
    assert_eq!(pairs(&*bench.engine, all()).len(), cases.len());
    for (key, _) in cases {
        write(&*bench.engine, &[delete(key)]);
        assert_eq!(get(&*bench.engine, key), None);
    }
    assert_eq!(pairs(&*bench.engine, all()), []);
    Ok(())
}

fn keys_are_ordered_as_memcmp_orders_them(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let ordered: [&[u8]; 8] = [b"", b"\0", b"\0\xFF", b"A", b"a", b"aa", b"\x80", b"\xFF\xFF"];
    for key in ordered.iter().rev() {
        write(&*bench.engine, &[set(*key, "")]);
    }
    assert_eq!(keys(&*bench.engine, all()), ordered);
    Ok(())
}

fn a_prefix_range_has_exactly_the_keys_with_the_prefix(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    for key in
        [&b"a"[..], b"a\xFF", b"a\xFF\xFFz", b"b", b"\xFE", b"\xFF", b"\xFF\xFF", b"\xFF\xFFa"]
    {
        write(&*bench.engine, &[set(key, "")]);
    }
    assert_eq!(keys(&*bench.engine, Range::prefix(b"a")), [&b"a"[..], b"a\xFF", b"a\xFF\xFFz"]);
    assert_eq!(keys(&*bench.engine, Range::prefix(b"a\xFF")), [&b"a\xFF"[..], b"a\xFF\xFFz"]);
    assert_eq!(
        keys(&*bench.engine, Range::prefix(b"\xFF")),
        [&b"\xFF"[..], b"\xFF\xFF", b"\xFF\xFFa"]
    );
    assert_eq!(keys(&*bench.engine, Range::prefix(b"\xFF\xFF")), [&b"\xFF\xFF"[..], b"\xFF\xFFa"]);
    assert_eq!(keys(&*bench.engine, Range::prefix(b"c")), [b""; 0]);
    Ok(())
}

fn the_last_operation_on_a_key_wins(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    write(
        &*bench.engine,
        &[set("a", "1"), delete("a"), set("a", "2"), set("b", "1"), delete("b"), delete("c")],
    );
    assert_eq!(get(&*bench.engine, b"a").as_deref(), Some(&b"2"[..]));
    assert_eq!(keys(&*bench.engine, all()), [b"a"]);
    Ok(())
}

fn a_failed_expectation_refuses_the_whole_batch(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    write(&*bench.engine, &[set("there", "value")]);
    let there = b"there";
    let not_there = b"not there";
    let cases = [
        (Expectation::Present { key: there }, Outcome::Applied),
        (Expectation::Present { key: not_there }, Outcome::Refused(Conflict::NotFound)),
        (Expectation::Absent { key: not_there }, Outcome::Applied),
        (Expectation::Absent { key: there }, Outcome::Refused(Conflict::Exists)),
        (Expectation::Equals { key: there, value: b"value" }, Outcome::Applied),
        (Expectation::Equals { key: there, value: b"" }, Outcome::Refused(Conflict::Mismatch)),
        (Expectation::Equals { key: there, value: b"valu" }, Outcome::Refused(Conflict::Mismatch)),
        (Expectation::Equals { key: not_there, value: b"" }, Outcome::Refused(Conflict::NotFound)),
    ];
    for (expectation, outcome) in cases {
        // Behind an expectation that holds, and with operations on other keys: one that fails
        // spoils it all.
        let expectations = [Expectation::Present { key: there }, expectation];
        let operations = [set("mark", "1"), set("other", "1")];
        let answer = bench
            .engine
            .apply(&WriteBatch { expectations: &expectations, operations: &operations });
        assert_eq!(answer?, outcome, "{expectation:?}");
        let applied = outcome == Outcome::Applied;
        assert_eq!(get(&*bench.engine, b"mark").is_some(), applied, "{expectation:?}");
        write(&*bench.engine, &[delete("mark"), delete("other")]);
    }
    Ok(())
}

fn expectations_are_checked_before_the_operations(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let answer = bench.engine.apply(&WriteBatch {
        expectations: &[Expectation::Absent { key: b"a" }, Expectation::Absent { key: b"a" }],
        operations: &[set("a", "1"), set("a", "2")],
    });
    assert_eq!(answer?, Outcome::Applied);
    let answer = bench.engine.apply(&WriteBatch {
        expectations: &[Expectation::Present { key: b"a" }],
        operations: &[],
    });
    assert_eq!(answer?, Outcome::Applied);
    Ok(())
}

fn delete_range_deletes_exactly_the_range(make: Make) -> testkit::Result {
    let names = [&b""[..], b"a", b"b", b"ba", b"c", b"\xFF", b"\xFF\xFF"];
    let range = |start, end| Operation::DeleteRange { start, end };
    let cases = [
        (range(b"b", Some(b"c")), &[&b""[..], b"a", b"c", b"\xFF", b"\xFF\xFF"][..]),
        (range(b"", Some(b"b")), &[b"b", b"ba", b"c", b"\xFF", b"\xFF\xFF"]),
        (range(b"\xFF", None), &[b"", b"a", b"b", b"ba", b"c"]),
        (range(b"", None), &[]),
        (range(b"c", Some(b"a")), &names),
        (range(b"a", Some(b"a")), &names),
    ];
    for (operation, left) in cases {
        let bench = make(no_lease());
        for name in names {
            write(&*bench.engine, &[set(name, "")]);
        }
        let snapshot = bench.engine.snapshot()?;
        // In the middle of a batch: what comes before it goes, what comes after it stays.
        write(&*bench.engine, &[set("bb", "before"), operation, set("bc", "after")]);
        let mut expected: Vec<_> = left.iter().map(|name| name.to_vec()).collect();
        expected.push(b"bc".to_vec());
        if let Operation::DeleteRange { start, end } = operation
            && !(start <= &b"bb"[..] && end.is_none_or(|end| &b"bb"[..] < end))
        {
            expected.push(b"bb".to_vec());
        }
        expected.sort();
        assert_eq!(keys(&*bench.engine, all()), expected, "{operation:?}");
        assert_eq!(keys(&*snapshot, all()), names, "{operation:?}");
        for name in names {
            assert_eq!(get(&*bench.engine, name).is_some(), left.contains(&name), "{operation:?}");
        }
    }
    Ok(())
}

fn get_many_returns_one_value_per_key(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    write(&*bench.engine, &[set("a", "1"), set("b", ""), set("", "empty")]);
    let snapshot = bench.engine.snapshot()?;
    write(&*bench.engine, &[set("a", "2"), delete("b")]);
    let read = |reader: &dyn Reader| -> Vec<_> {
        let values = reader.get_many(&[b"b", b"a", b"x", b"", b"a"]).expect("the read works");
        values
            .into_iter()
            .map(|value| value.map(|value| String::from_utf8_lossy(&value).into_owned()))
            .collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(read(&*bench.engine), [None, some("2"), None, some("empty"), some("2")]);
    assert_eq!(read(&*snapshot), [some(""), some("1"), None, some("empty"), some("1")]);
    assert!(bench.engine.get_many(&[])?.is_empty());
    Ok(())
}

fn a_snapshot_never_changes(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    write(&*bench.engine, &[set("changed", "old"), set("deleted", "old"), set("same", "old")]);
    let snapshot = bench.engine.snapshot()?;
    let before = pairs(&*snapshot, all());
    write(&*bench.engine, &[set("changed", "new"), delete("deleted"), set("added", "new")]);
    write(&*bench.engine, &[set("changed", "newer"), set("deleted", "again")]);
    assert_eq!(pairs(&*snapshot, all()), before);
    assert_eq!(get(&*snapshot, b"changed").as_deref(), Some(&b"old"[..]));
    assert_eq!(get(&*snapshot, b"deleted").as_deref(), Some(&b"old"[..]));
    assert_eq!(get(&*snapshot, b"added"), None);
    assert_eq!(get(&*bench.engine, b"deleted").as_deref(), Some(&b"again"[..]));
    Ok(())
}

fn snapshots_can_be_dropped_in_any_order(make: Make) -> testkit::Result {
    // Every order in which four snapshots can go, over a key that comes, changes and goes between
    // them.
    for order in 0..24 {
        let bench = make(no_lease());
        let mut snapshots = Vec::new();
        for round in 0..4 {
            match round {
                2 => write(&*bench.engine, &[delete("k")]),
                _ => write(&*bench.engine, &[set("k", &[round])]),
            }
            snapshots.push((round, bench.engine.snapshot()?));
        }
        write(&*bench.engine, &[set("k", "end")]);
        let mut picks = order;
        for left in (1..=4).rev() {
            for (round, snapshot) in &snapshots {
                let expected = (*round != 2).then(|| vec![*round]);
                assert_eq!(get(&**snapshot, b"k"), expected, "order {order}, {left} left");
                assert_eq!(pairs(&**snapshot, all()).len(), usize::from(expected.is_some()));
            }
            snapshots.remove(picks % left);
            picks /= left;
        }
        assert_eq!(get(&*bench.engine, b"k").as_deref(), Some(&b"end"[..]));
    }
    Ok(())
}

fn a_cursor_moves_forward_and_backward(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let names: Vec<_> = (0..1000).map(|number| format!("{number:04}")).collect();
    for name in &names {
        write(&*bench.engine, &[set(name, name)]);
    }
    let mut cursor = bench.engine.cursor(all())?;
    assert_eq!(cursor.entry(), None);
    cursor.next()?;
    cursor.prev()?;
    assert_eq!(cursor.entry(), None);

    cursor.first()?;
    for name in &names {
        assert_eq!(cursor.entry(), Some((name.as_bytes(), name.as_bytes())));
        cursor.next()?;
    }
    assert_eq!(cursor.entry(), None);
    cursor.last()?;
    for name in names.iter().rev() {
        assert_eq!(at(&*cursor), Some(name.as_bytes()));
        cursor.prev()?;
    }
    assert_eq!(cursor.entry(), None);

    cursor.seek(b"0500")?;
    for expected in ["0500", "0501", "0500", "0499", "0498", "0499", "0500"].windows(2) {
        assert_eq!(at(&*cursor), Some(expected[0].as_bytes()));
        if expected[0] < expected[1] { cursor.next() } else { cursor.prev() }?;
        assert_eq!(at(&*cursor), Some(expected[1].as_bytes()));
    }
    cursor.seek(b"0500x")?;
    assert_eq!(at(&*cursor), Some(&b"0501"[..]));
    cursor.seek(b"x")?;
    assert_eq!(cursor.entry(), None);
    Ok(())
}

fn a_cursor_stays_in_its_range(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    for name in ["a", "b", "c", "d", "e"] {
        write(&*bench.engine, &[set(name, name)]);
    }
    let range =
        |start: &str, end: Option<&str>| Range { start: start.into(), end: end.map(Into::into) };
    let cases = [
        (range("b", Some("d")), &["b", "c"][..]),
        (range("bb", Some("dd")), &["c", "d"]),
        (range("", Some("b")), &["a"]),
        (range("d", None), &["d", "e"]),
        (range("c", Some("c")), &[]),
        (range("d", Some("b")), &[]),
        (range("x", None), &[]),
    ];
    for (range, expected) in cases {
        let mut cursor = bench.engine.cursor(range.clone())?;
        cursor.first()?;
        let mut forward = Vec::new();
        while let Some(key) = at(&*cursor) {
            forward.push(key.to_vec());
            cursor.next()?;
        }
        cursor.last()?;
        let mut backward = Vec::new();
        while let Some(key) = at(&*cursor) {
            backward.insert(0, key.to_vec());
            cursor.prev()?;
        }
        let expected: Vec<_> = expected.iter().map(|name| name.as_bytes().to_vec()).collect();
        assert_eq!(forward, expected, "{range:?}");
        assert_eq!(backward, expected, "{range:?}");
        for target in ["", "b", "c", "z"] {
            cursor.seek(target.as_bytes())?;
            let first = expected.iter().find(|key| key.as_slice() >= target.as_bytes());
            assert_eq!(at(&*cursor), first.map(Vec::as_slice), "{range:?} sought {target}");
        }
    }
    Ok(())
}

fn a_cursor_does_not_see_later_writes(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    let names: Vec<_> = (0..600).map(|number| format!("{number:04}")).collect();
    for name in &names {
        write(&*bench.engine, &[set(name, "old")]);
    }
    let mut cursor = bench.engine.cursor(all())?;
    for name in &names {
        write(&*bench.engine, &[set(name, "new"), set(&format!("{name}x"), "new")]);
    }
    write(&*bench.engine, &[delete("0100")]);
    cursor.first()?;
    for name in &names {
        assert_eq!(cursor.entry(), Some((name.as_bytes(), &b"old"[..])));
        cursor.next()?;
    }
    assert_eq!(cursor.entry(), None);
    Ok(())
}

fn a_scan_callback_can_write_to_the_store(make: Make) -> testkit::Result {
    let bench = make(no_lease());
    for number in 0..500 {
        write(&*bench.engine, &[set(&format!("{number:04}"), "old")]);
    }
    let mut seen = 0;
    let complete = bench.engine.scan(all(), &mut |key, value| {
        assert_eq!(value, b"old");
        let mut after = key.to_vec();
        after.push(b'x');
        write(&*bench.engine, &[set(key, "new"), set(&after, "old"), delete("0499")]);
        seen += 1;
        true
    });
    assert!(complete?);
    assert_eq!(seen, 500);
    let stopped = bench.engine.scan(all(), &mut |_, _| false);
    assert!(!stopped?);
    Ok(())
}

fn values_cursors_and_snapshots_outlive_the_engine(make: Make) -> testkit::Result {
    struct Gone(Arc<AtomicBool>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let gone = Arc::new(AtomicBool::new(false));
    let big = vec![7; 1 << 20];
    let bench = make(Box::new(Gone(gone.clone())));
    write(&*bench.engine, &[set("small", "value"), set("big", &big)]);
    let snapshot = bench.engine.snapshot()?;
    let mut cursor = snapshot.cursor(all())?;
    let small = bench.engine.get(b"small")?.expect("it is there");
    let value = bench.engine.get(b"big")?.expect("it is there");
    drop(bench);
    assert_eq!(*value, big[..]);
    assert_eq!(*small, b"value"[..]);
    assert_eq!(get(&*snapshot, b"small").as_deref(), Some(&b"value"[..]));
    drop(snapshot);
    cursor.first()?;
    assert_eq!(cursor.entry(), Some((&b"big"[..], &big[..])));
    assert!(!gone.load(Ordering::SeqCst), "the lease is kept as long as anything is");
    drop(cursor);
    drop(value);
    assert!(gone.load(Ordering::SeqCst), "the lease goes with the last of it");
    Ok(())
}
