//! The engine and the read models, on a real database.
