//! `kvds`: the command-line program.

use std::process::ExitCode;

fn main() -> ExitCode {
    kvds_cli::main()
}
