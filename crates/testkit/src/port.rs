//! Free loopback ports, and another try when somebody else was quicker.
//!
//! A free port is found by binding it and letting go, so between that and the service's
//! own bind another process can take it; the service then ends with "address already in
//! use" and [`claim`] tries again.
//!
//! The candidates lie below the range from which systems take the ports of outgoing
//! connections (Linux from 32768, macOS from 49152), and not at "port 0", which draws from
//! that very range: while a server is down for a restart, a client that retries its port
//! could be given the port itself as source port, connect to itself, and keep the server out.

use std::net::{Ipv4Addr, TcpListener};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::random;

const LOWEST: u16 = 15_000;
const COUNT: u16 = 15_000;
const ATTEMPTS: u32 = 8;
const RESTART_LIMIT: Duration = Duration::from_secs(15);

/// Which port a service gets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted {
    /// Any free one, but this one if it is free: what the last run had.
    Preferably(Option<u16>),
    /// This one, because clients know it.
    Exactly(u16),
}

/// Calls `start` with a port until it does not fail because the port is taken.
pub(crate) fn claim<T>(
    wanted: Wanted,
    mut start: impl FnMut(u16) -> Result<T, Error>,
) -> Result<(u16, T), Error> {
    match wanted {
        Wanted::Exactly(port) => {
            let deadline = Instant::now() + RESTART_LIMIT;
            loop {
                match start(port) {
                    Err(error) if error.is_port_taken() && Instant::now() < deadline => {
                        sleep(Duration::from_millis(100));
                    }
                    outcome => return Ok((port, outcome?)),
                }
            }
        }
        Wanted::Preferably(mut preferred) => {
            for attempt in 1..=ATTEMPTS {
                let port = match preferred.take().filter(|port| is_free(*port)) {
                    Some(port) => port,
                    None => free()?,
                };
                match start(port) {
                    Err(error) if error.is_port_taken() && attempt < ATTEMPTS => {}
                    outcome => return Ok((port, outcome?)),
                }
            }
            Err(Error::NoPort)
        }
    }
}

fn free() -> Result<u16, Error> {
    for _ in 0..1_000 {
        let offset = random::below(u32::from(COUNT))?;
        let port = LOWEST + u16::try_from(offset).unwrap_or(0);
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(Error::NoPort)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn taken() -> Error {
        let tail = "could not bind: Address already in use".to_owned();
        Error::Died { service: "test", log: PathBuf::new(), tail }
    }

    #[test]
    fn a_taken_port_leads_to_another() {
        let mut tried = Vec::new();
        let (port, ()) = claim(Wanted::Preferably(None), |port| {
            tried.push(port);
            if tried.len() < 3 { Err(taken()) } else { Ok(()) }
        })
        .unwrap();
        assert_eq!((tried.len(), tried.last()), (3, Some(&port)));
        assert!(port < 32_768, "{port} could be the source port of a connection");
    }

    #[test]
    fn the_port_of_the_last_run_is_preferred_while_it_is_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, free().unwrap())).unwrap();
        let last = listener.local_addr().unwrap().port();
        let (port, ()) = claim(Wanted::Preferably(Some(last)), |_| Ok(())).unwrap();
        assert_ne!(port, last);
        drop(listener);
        let (port, ()) = claim(Wanted::Preferably(Some(last)), |_| Ok(())).unwrap();
        assert_eq!(port, last);
    }

    #[test]
    fn a_restart_insists_on_its_port() {
        let mut tries = 0;
        let (port, ()) = claim(Wanted::Exactly(4_222), |_| {
            tries += 1;
            if tries < 3 { Err(taken()) } else { Ok(()) }
        })
        .unwrap();
        assert_eq!((tries, port), (3, 4_222));
    }

    #[test]
    fn another_failure_is_not_tried_again() {
        let mut tries = 0;
        let outcome = claim(Wanted::Preferably(None), |_| -> Result<(), _> {
            tries += 1;
            Err(Error::NoAccount)
        });
        assert!(matches!(outcome, Err(Error::NoAccount)));
        assert_eq!(tries, 1);
    }
}
