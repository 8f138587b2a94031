//! The program: see [`proxyd::command`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    proxyd::command::main(std::env::args_os())
}
