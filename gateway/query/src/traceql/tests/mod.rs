//! Queries as data, at random, and against the definitions of what they find.

mod generated;
mod listing;
mod measuring;
mod parsing;
mod reference;
mod searching;
mod stored;
