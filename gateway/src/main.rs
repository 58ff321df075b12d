//! The `trefoil` program: reads the command line, hands over, turns failure into an exit code.

use std::process::ExitCode;

use clap::Parser;
use gateway::cli::{self, Arguments};

fn main() -> ExitCode {
    match cli::run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("trefoil: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}
