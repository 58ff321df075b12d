//! What queries mean, over records in memory.

mod evaluation;
mod grammar;
mod labels;
mod memory;
mod reference;
mod totality;
