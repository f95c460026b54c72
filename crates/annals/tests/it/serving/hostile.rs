//! Clients that mean ill, or know no better: each gets a clear answer or is closed in bounded
//! time, others are served meanwhile, and memory stays bounded.

mod asking;
mod crowd;
mod slow;

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::raw::{PATIENCE, Raw};
use crate::support::{Process, Site, free_address};

/// Settings that are short where a test waits for them, and long where they would end what a bystander
/// asks on a machine that has much else to do.
const SETTINGS: [(&str, &str); 5] = [
    ("ANNALS_DATABASE__ACQUIRE_TIMEOUT_MS", "30000"),
    ("ANNALS_HTTP__HEADER_TIMEOUT_MS", "2000"),
    ("ANNALS_HTTP__KEEP_ALIVE_MS", "4000"),
    ("ANNALS_HTTP__WRITE_TIMEOUT_MS", "3000"),
    ("ANNALS_HTTP__REQUESTS_PER_SECOND", "0"),
];

/// What 20 clients at once may cost: less than one megabyte each, which is what some of them send.
const LITTLE_KIB: u64 = 8 * 1024;

/// A process that somebody means ill, and a bystander who is served all the while.
struct Target {
    process: Process,
    peak_kib: u64,
    enough: CancellationToken,
    bystander: tokio::task::JoinHandle<usize>,
    _site: Site,
}

impl Target {
    async fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        let site = Site::new().await;
        let mut command = site.command(&["serve", "--role", "api", "--role", "projector"]);
        command.envs(SETTINGS).envs(settings.iter().copied());
        let mut process = Process::spawn(name, command, free_address());
        process.ready().await;
        let enough = CancellationToken::new();
        let bystander = tokio::spawn(stand_by(process.url("/v1/products"), enough.clone()));
        let peak_kib = peak_kib(&process);
        Self { process, peak_kib, enough, bystander, _site: site }
    }

    async fn connect(&self) -> Raw {
        Raw::connect(self.process.address).await
    }

    /// The status of what is answered to `bytes`, and that it is so to many at once.
    async fn refuses(&self, bytes: &[u8]) -> u16 {
        let mut statuses = JoinSet::new();
        for _ in 0..20 {
            let (address, bytes) = (self.process.address, bytes.to_owned());
            statuses.spawn(async move {
                let mut client = Raw::connect(address).await;
                assert!(client.send(&bytes).await, "all of it is taken");
                client.status().await
            });
        }
        let statuses = statuses.join_all().await;
        assert!(statuses.iter().all(|status| *status == statuses[0]), "{statuses:?}");
        statuses[0]
    }

    /// All have been served that were to be, and the process has never held more than `growth_kib`
    /// above what it began with.
    async fn stands(mut self, growth_kib: u64) {
        self.enough.cancel();
        assert!(self.bystander.await.unwrap() > 0, "somebody was served meanwhile");
        let grown = peak_kib(&self.process).saturating_sub(self.peak_kib);
        assert!(grown < growth_kib, "{grown} KiB more than before");
        let log = self.process.output();
        assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
        self.process.signal(Signal::TERM);
        assert!(self.process.ended(PATIENCE).await.success(), "{}", self.process.output());
    }
}

/// Asks again and again, and is always answered; how often.
async fn stand_by(url: String, enough: CancellationToken) -> usize {
    let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let mut served = 0;
    while !enough.is_cancelled() {
        let answer = http.get(&url).send().await.unwrap();
        let status = answer.status();
        assert_eq!(status, 200, "{}", answer.text().await.unwrap());
        served += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    served
}

/// The most memory that the process has ever held.
fn peak_kib(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
