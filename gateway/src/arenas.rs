//! How many arenas the C library's allocator may have.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// What glibc reads, once, before `main`.
const VARIABLE: &str = "MALLOC_ARENA_MAX";
/// Two threads at least allocate side by side on any machine.
const FEWEST: usize = 2;

/// Starts the program anew, in the same process, with an arena a processor, unless somebody has said how many there may be. By
/// default there are up to eight a processor: each of the threads that come and go with requests gets one, and what it frees
/// stays there, which doubles what the gateway holds and gains nothing. Where that cannot be, it goes on as it is.
pub fn bound() {
    if cfg!(not(target_env = "gnu")) || std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let processors =
        std::thread::available_parallelism().map_or(FEWEST, |processors| processors.get().max(FEWEST));
    let mut arguments = std::env::args_os();
    if let (Ok(program), Some(name)) = (std::env::current_exe(), arguments.next()) {
        // Comes back only when it failed.
        let _ = Command::new(program).arg0(name).args(arguments).env(VARIABLE, processors.to_string()).exec();
    }
}
