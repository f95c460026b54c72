//! Nothing outlives its parent, however that ends.
//!
//! The parent is this test binary run again, for the one test `parent` with a variable set.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use testkit::{Nats, Postgres, ServiceOptions, Services};

use crate::support::{Scratch, await_that, connect, is_alive};

const ROOT: &str = "TESTKIT_TEST_PARENT_ROOT";

#[test]
fn parent() {
    #[expect(clippy::disallowed_methods, reason = "tells the helper process from the test")]
    let Some(root) = env::var_os(ROOT).map(PathBuf::from) else { return };
    let options = ServiceOptions {
        root,
        database_url: None,
        nats_url: None,
        report: &|line| println!("{line}"),
    };
    let services = Services::start(&options).unwrap();
    let (postgres, nats) = (services.postgres.as_ref().unwrap(), services.nats.as_ref().unwrap());
    if is_frozen(&options.root) {
        postgres.pause();
        nats.pause();
    }
    println!("ready {} {} {}", postgres.pid(), nats.pid(), services.database_url);
    // Until it is killed, or whoever runs it has ended.
    let _ = std::io::stdin().lock().read_line(&mut String::new());
}

fn is_frozen(root: &Path) -> bool {
    root.ends_with("frozen")
}

struct Parent {
    process: Child,
    /// Held, because the test harness in the parent prints its verdict at the end.
    _stdout: BufReader<ChildStdout>,
    postgres: u32,
    nats: u32,
    database_url: String,
}

fn start_parent(root: &Path) -> Parent {
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["--exact", "lifeline::parent", "--nocapture"])
        .env(ROOT, root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    let ready = stdout
        .by_ref()
        .lines()
        .map(Result::unwrap)
        .find_map(|line| line.split_once("ready ").map(|(_, rest)| rest.to_owned()))
        .expect("the parent did not become ready");
    let words: Vec<&str> = ready.split(' ').collect();
    Parent {
        process,
        _stdout: stdout,
        postgres: words[0].parse().unwrap(),
        nats: words[1].parse().unwrap(),
        database_url: words[2].to_owned(),
    }
}

#[tokio::test]
async fn kill_9_of_the_parent_leaves_no_orphan_and_no_damage() {
    let scratch = Scratch::new("orphans");
    let root = scratch.path().join(".annals");
    let mut parent = start_parent(&root);
    let mut connection = connect(&parent.database_url).await;
    sqlx::raw_sql("CREATE TABLE kept ()").execute(&mut connection).await.unwrap();

    parent.process.kill().unwrap();
    parent.process.wait().unwrap();
    await_that("both services to end", || !is_alive(parent.postgres) && !is_alive(parent.nats));

    let again = start_parent(&root);
    assert_eq!(again.database_url, parent.database_url);
    sqlx::raw_sql("TABLE kept").execute(&mut connect(&again.database_url).await).await.unwrap();
    end(again);
}

#[test]
fn services_that_are_frozen_when_the_parent_is_killed_end_as_well() {
    let scratch = Scratch::new("freeze");
    let mut parent = start_parent(&scratch.path().join("frozen"));
    let backends = children_of(parent.postgres);
    assert!(!backends.is_empty());
    parent.process.kill().unwrap();
    parent.process.wait().unwrap();
    for pid in backends.into_iter().chain([parent.postgres, parent.nats]) {
        await_that("every process of both services to end", || !is_alive(pid));
    }
}

#[test]
fn the_next_start_waits_for_what_is_still_stopping() {
    let scratch = Scratch::new("hurry");
    let root = scratch.path().join(".annals");
    for _ in 0..3 {
        let mut parent = start_parent(&root);
        parent.process.kill().unwrap();
        parent.process.wait().unwrap();
    }
    end(start_parent(&root));
}

#[test]
fn a_server_whose_lifeline_was_killed_too_is_ended_by_the_next_start() {
    let scratch = Scratch::new("cut");
    let root = scratch.path().join(".annals");
    let mut parent = start_parent(&root);
    parent.process.kill().unwrap();
    parent.process.wait().unwrap();
    end(start_parent(&root));

    let mut parent = start_parent(&root);
    // The whole process group of each service but the service: its script and watcher.
    for service in [parent.postgres, parent.nats] {
        for pid in group_of(service).into_iter().filter(|pid| *pid != service) {
            kill_9(pid);
        }
    }
    parent.process.kill().unwrap();
    parent.process.wait().unwrap();
    assert!(is_alive(parent.postgres) && is_alive(parent.nats), "the test cut too much");
    let again = start_parent(&root);
    assert!(!is_alive(parent.postgres) && !is_alive(parent.nats));
    end(again);
}

#[test]
fn one_service_does_not_hold_the_lifeline_of_another() {
    let first = Postgres::start_ephemeral().unwrap();
    let second = Nats::start_ephemeral().unwrap();
    let third = Postgres::start_ephemeral().unwrap();
    let pids = [first.pid(), second.pid(), third.pid()];
    drop(first);
    await_that("the first to end", || !is_alive(pids[0]));
    drop(second);
    await_that("the second to end", || !is_alive(pids[1]));
    assert!(is_alive(pids[2]));
    third.stop().unwrap();
}

/// Lets the parent return, which drops its services.
fn end(mut parent: Parent) {
    drop(parent.process.stdin.take());
    assert!(parent.process.wait().unwrap().success());
    await_that("both services to end", || !is_alive(parent.postgres) && !is_alive(parent.nats));
}

fn group_of(pid: u32) -> Vec<u32> {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap());
    let group = rustix::process::getpgid(pid).unwrap().as_raw_nonzero();
    select("-g", 2, &group.to_string())
}

fn children_of(pid: u32) -> Vec<u32> {
    select("-P", 1, &pid.to_string())
}

/// The processes of which the field of `/proc/<pid>/stat` that comes `index` after the state
/// is `value`; without `/proc`, what `pgrep` finds by `flag`.
fn select(flag: &str, index: usize, value: &str) -> Vec<u32> {
    if let Ok(entries) = fs::read_dir("/proc") {
        let pids = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
        return pids
            .filter(|pid| {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.to_owned());
                fields.is_some_and(|fields| fields.split(' ').nth(index) == Some(value))
            })
            .collect();
    }
    let output = Command::new("pgrep").args([flag, value]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

fn kill_9(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
