//! Tests the options that C programs cannot look at: what `Debug` shows, and what they are set to.

use kvds::testing::Options;

const PASSWORD: &str = "correct horse";

/// Programs log options and errors, and logs have more readers than passwords.
#[test]
fn neither_debug_nor_an_error_shows_the_password() {
    let mut options = Options::default();
    assert!(format!("{options:?}").contains("cluster_password: none"));
    options.set("cluster_password", PASSWORD).expect("it is text");
    assert_eq!(options.cluster_password.reveal(), PASSWORD);
    let shown = format!("{options:?} {options:#?}");
    assert!(!shown.contains("horse"), "{shown}");
    assert!(shown.contains("cluster_password: secret"), "{shown}");

    let error = options.set_number("cluster_password", 12345).expect_err("it takes text");
    assert_eq!(options.cluster_password.reveal(), PASSWORD, "nothing was changed");
    let error = error.to_string();
    assert!(error.contains("cluster_password") && !error.contains("horse"), "{error}");
}

#[test]
fn text_is_kept_as_it_is() {
    let mut options = Options::default();
    for text in ["", " a ", "etcd://h:2379,[::1]/caf\u{e9}", "a\nb"] {
        options.set("cluster", text).expect("any text can be set");
        options.set("cluster_password", text).expect("any text can be set");
        assert_eq!(options.cluster.reveal(), text);
        assert_eq!(options.cluster_password.reveal(), text);
    }
}

#[test]
fn a_time_limit_has_bounds() {
    let mut options = Options::default();
    assert_eq!(options.cluster_timeout_ms, 10_000);
    for (milliseconds, fits) in [(99, false), (100, true), (600_000, true), (600_001, false)] {
        let before = options.cluster_timeout_ms;
        let result = options.set_number("cluster_timeout_ms", milliseconds);
        assert_eq!(result.is_ok(), fits, "{milliseconds}");
        let expected = if fits { milliseconds as u64 } else { before };
        assert_eq!(options.cluster_timeout_ms, expected);
        if let Err(error) = result {
            let error = error.to_string();
            assert!(error.contains("milliseconds from 100 to 600000"), "{error}");
        }
    }
}

#[test]
fn an_unknown_option_lists_all() {
    let error = Options::default().set("cluster_passwort", PASSWORD).expect_err("it is misspelled");
    let error = error.to_string();
    assert!(!error.contains("horse"), "{error}");
    for name in Options::names() {
        assert!(error.contains(name), "{error}");
    }
}
