//! The services of a development directory.

use std::fs;

use testkit::{Error, ServiceOptions, Services};

use crate::support::{Scratch, connect, is_alive};

fn options(scratch: &Scratch) -> ServiceOptions<'_> {
    ServiceOptions {
        root: scratch.path().join(".annals"),
        database_url: None,
        nats_url: None,
        report: &|_| {},
    }
}

#[tokio::test]
async fn start_stop_and_start_again_on_the_same_urls_and_data() {
    let scratch = Scratch::new("services");
    let options = options(&scratch);
    let services = Services::start(&options).unwrap();
    let urls = (services.database_url.clone(), services.nats_url.clone());
    let pids = [services.postgres.as_ref().unwrap().pid(), services.nats.as_ref().unwrap().pid()];
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    sqlx::raw_sql("CREATE TABLE kept ()").execute(&mut connect(&urls.0).await).await.unwrap();

    let error = Services::start(&options).unwrap_err();
    assert!(matches!(error, Error::AlreadyRunning { .. }), "{error}");
    let start = format!("annals dev already runs in this checkout (pid {},", std::process::id());
    assert!(error.to_string().starts_with(&start), "{error}");

    services.stop().unwrap();
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
    for log in ["postgres.log", "nats.log"] {
        assert_ne!(fs::metadata(options.root.join("log").join(log)).unwrap().len(), 0, "{log}");
    }

    let services = Services::start(&options).unwrap();
    assert_eq!((services.database_url.clone(), services.nats_url.clone()), urls);
    sqlx::raw_sql("TABLE kept").execute(&mut connect(&urls.0).await).await.unwrap();
    // Dropped, not stopped: the next start waits for those that are still stopping.
    drop(services);
    Services::start(&options).unwrap().stop().unwrap();
}

#[test]
fn given_servers_are_used_as_they_are() {
    let scratch = Scratch::new("given");
    let options = ServiceOptions {
        database_url: Some("postgres://given/annals".to_owned()),
        nats_url: Some("nats://given".to_owned()),
        ..options(&scratch)
    };
    let services = Services::start(&options).unwrap();
    assert_eq!(services.database_url, "postgres://given/annals");
    assert_eq!(services.nats_url, "nats://given");
    assert!(services.postgres.is_none() && services.nats.is_none());
    assert!(!options.root.exists(), "nothing of ours runs, so nothing of ours is made");
    services.stop().unwrap();
}
