//! Many at once.

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit, setrlimit};
use testkit::eventually;

use super::super::raw::{PATIENCE, Raw, get};
use super::{LITTLE_KIB, Target};
use crate::support::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_who_say_nothing_cost_little_and_are_closed() {
    const SILENT: usize = 3_000;
    let ours = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: ours.maximum, ..ours }).unwrap();
    let target =
        Target::start("hostile-silent", &[("ANNALS_HTTP__HEADER_TIMEOUT_MS", "20000")]).await;
    let mut silent = Vec::with_capacity(SILENT);
    for _ in 0..SILENT {
        silent.push(target.connect().await);
    }
    // All of them are in: so is whoever comes after them.
    let mut late = target.connect().await;
    late.send(&get("/v1/products")).await;
    assert_eq!(late.answer().await.0, 200);
    for mut client in silent {
        assert_eq!(client.rest().await, "");
    }
    target.stands(12 * 3_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_as_many_as_may_be_one_waits_for_another_to_end() {
    let target = Target::start("hostile-full", &[("ANNALS_HTTP__MAX_CONNECTIONS", "20")]).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(target.connect().await);
    }
    let mut late = target.connect().await;
    late.send(&get("/livez")).await;
    assert_eq!(late.answer().await.0, 200);
    assert!(target.process.output().contains("as many connections as may be"));
    for mut client in silent {
        client.rest().await;
    }
    target.stands(LITTLE_KIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_file_descriptors_it_waits_for_some() {
    let site = Site::new().await;
    let mut process = site.serve("hostile-descriptors", &["api"]);
    process.ready().await;
    let mut open = Raw::connect(process.address).await;
    open.send(&get("/livez")).await;
    assert_eq!(open.answer().await.0, 200);

    let id = Pid::from_raw(i32::try_from(process.id()).unwrap());
    let maximum = getrlimit(Resource::Nofile).maximum;
    let none = Rlimit { current: Some(0), maximum };
    let before = prlimit(id, Resource::Nofile, none).unwrap();
    let mut late = Raw::connect(process.address).await;
    late.send(&get("/livez")).await;
    eventually(PATIENCE, "it to say so", async || {
        let told = process.output().matches("connections cannot be accepted").count();
        if told == 1 { Ok(()) } else { Err(told) }
    })
    .await;
    // What is open is served.
    for _ in 0..20 {
        open.send(&get("/livez")).await;
        assert_eq!(open.answer().await.0, 200);
    }
    assert_eq!(process.output().matches("connections cannot be accepted").count(), 1, "once");
    prlimit(id, Resource::Nofile, before).unwrap();
    assert_eq!(late.answer().await.0, 200, "served in the end");
    process.signal(Signal::TERM);
    assert!(process.ended(PATIENCE).await.success());
}
