//! The projection engine and every read model with its schema and queries.
