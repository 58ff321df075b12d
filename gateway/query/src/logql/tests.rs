//! What queries mean, over records in memory.

mod evaluation;
mod grammar;
mod memory;
mod reference;
mod totality;
