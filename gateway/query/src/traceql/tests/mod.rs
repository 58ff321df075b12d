mod generated;
mod listing;
mod measuring;
mod parsing;
mod reference;
mod searching;
mod stored;
