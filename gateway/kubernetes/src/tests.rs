//! What is made of pods, and the watch against an API that answers as a test says.

mod cluster;
mod objects;
