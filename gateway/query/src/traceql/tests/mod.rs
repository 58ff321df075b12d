mod generated;
mod parsing;
