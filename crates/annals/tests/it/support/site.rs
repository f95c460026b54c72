//! An installation of one test's own: a database and a namespace of the broker.

use std::process::{Command, Output};

use testkit::{TestBroker, TestDatabase};

use super::{MIGRATOR, Process, free_address, trusting};

pub(crate) struct Site {
    pub(crate) database: TestDatabase,
    pub(crate) broker: TestBroker,
    /// Who connects, and where.
    pub(crate) url: String,
}

/// What a command answers, and what it ends with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::of(TestDatabase::create(&MIGRATOR).await)
    }

    pub(crate) fn of(database: TestDatabase) -> Self {
        let url = database.url().to_owned();
        Self { database, broker: TestBroker::shared(), url }
    }

    /// The binary, told where everything is.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = trusting(arguments);
        command
            .env("DATABASE_URL", &self.url)
            .env("NATS_URL", &self.broker.url)
            .env("ANNALS_NATS__NAMESPACE", &self.broker.namespace)
            // No proxy has to notice that a process stops.
            .env("ANNALS_HTTP__DRAIN_DELAY_MS", "0");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        let Output { status, stdout, stderr } =
            tokio::task::block_in_place(|| self.command(arguments).output().unwrap());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }

    /// Starts a process with some roles, or with all if none is named.
    pub(crate) fn serve(&self, name: &str, roles: &[&str]) -> Process {
        let roles = roles.iter().flat_map(|role| ["--role", role]);
        let arguments: Vec<_> = std::iter::once("serve").chain(roles).collect();
        Process::spawn(name, self.command(&arguments), free_address())
    }

    /// Starts a command that takes a while; what it writes is kept.
    pub(crate) fn start(&self, name: &str, arguments: &[&str]) -> Process {
        Process::spawn(name, self.command(arguments), free_address())
    }
}

impl Answer {
    /// What it printed, if it went well.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// The one sentence of a refusal.
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.code, 1, "{self:?}");
        let sentences: Vec<_> =
            self.err.lines().filter(|line| line.starts_with("annals: ")).collect();
        let [sentence] = sentences.as_slice() else { panic!("one sentence: {self:?}") };
        (*sentence).to_owned()
    }
}
