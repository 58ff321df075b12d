//! Promise: what is wrong is named first. Each test opens a simulated shop with one cause planted in it, tells a gateway all that
//! such applications say, each in its own way, and asks. `PLANTED_SEEDS=20` asks of twenty shops instead of one.

mod commands;
mod compare;
mod exemplars;
mod graph;
mod hidden;
mod look_up;
mod page;
mod patterns;
mod pivot;
mod scene;
mod variance;
