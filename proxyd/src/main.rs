//! The program: see [`proxyd::command`].

use std::process::ExitCode;

fn main() -> ExitCode {
    proxyd::command::main(std::env::args_os())
}
