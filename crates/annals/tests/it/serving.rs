//! The listener as clients and proxies meet it: real sockets, real processes.

mod draining;
mod hostile;
mod raw;
mod tls;
