//! Any number of processes run each slot once.

mod clocks;
mod failures;
mod leases;
mod operators;
mod world;
