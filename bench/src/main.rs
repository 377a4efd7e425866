//! Measurements of kvds, taken through the C functions that hosts call. `make bench` runs them.
//!
//! They print what they find and judge nothing by the clock: a machine may be slow.

mod alternatives;
mod host;
mod load;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            load::run(1 << 30);
            alternatives::run();
        }
        ["load"] => load::run(1 << 30),
        ["load", mib] if mib.parse::<u64>().is_ok() => load::run(mib.parse::<u64>().unwrap_or_default() << 20),
        ["alternatives"] => alternatives::run(),
        _ => {
            eprintln!("usage: kvds-bench [load [MIB] | alternatives]");
            eprintln!();
            eprintln!("  load          how much memory a load of MIB (1024) into a disk store takes");
            eprintln!(
                "  alternatives  two ways of doing the same: keys at once or one by one, prefixes or keys removed"
            );
            std::process::exit(2);
        }
    }
}
