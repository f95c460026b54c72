//! The command bus: load, decide, append; ports to the outside world; process managers.
