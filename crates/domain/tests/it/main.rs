//! The domain from outside: what is written stays readable, and stock is never oversold.

mod golden;
mod reservations;
