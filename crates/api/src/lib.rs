//! The HTTP surface: routes, wire types, problem details.
