//! The role of `deploy/roles.sql` is enough for processes and for what operators do with read models.

use std::path::Path;
use std::process::Command;

use testkit::{Postgres, TestDatabase};
use url::Url;

use crate::projections::Shop;
use crate::support::{MIGRATOR, Site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_and_operators_need_no_more_than_the_role_of_the_application() {
    let postgres = tokio::task::block_in_place(|| Postgres::start_ephemeral().unwrap());
    let mut site = Site::of(TestDatabase::create_on(&postgres, &MIGRATOR).await);
    let owner = site.database.pool();
    let create = "CREATE ROLE annals_app LOGIN PASSWORD 'only-in-this-test'";
    sqlx::raw_sql(create).execute(&owner).await.unwrap();
    let roles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/roles.sql");
    let granted = Command::new(postgres.program("psql"))
        .args(["--quiet", "--set=ON_ERROR_STOP=1", "--set=role=annals_app", "--file"])
        .arg(roles)
        .arg(format!("--dbname={}", site.database.url()))
        .status()
        .unwrap();
    assert!(granted.success());
    let mut url: Url = site.database.url().parse().unwrap();
    url.set_username("annals_app").unwrap();
    url.set_password(Some("only-in-this-test")).unwrap();
    site.url = url.into();

    let shop = Shop::open(&site, "permissions").await;
    let order = shop.order("order 1").await;
    site.caught_up("orders").await;
    let at = |command: &str| site.run(&["projections", command, "orders"]).ok();
    for command in ["rebuild", "switch-back", "discard", "verify", "pause", "resume", "show"] {
        at(command);
    }
    site.run(&["projections", "retry", "orders", "--all"]).ok();
    site.run(&["projections", "as-of", "orders", &order, "2100-01-01T00:00:00Z"]).ok();
    for job in [
        "inbox-retention",
        "partitions-ahead",
        "command-retention",
        "projection-digests",
        "identity-retention",
        "ledger-retention",
    ] {
        site.run(&["jobs", "run", job]).ok();
        site.last_run(job, |run| run["manual"] == true && run["state"] == "done").await;
    }
    assert!(site.run(&["why", "orders"]).ok().starts_with("nothing holds orders back"));
    shop.order("order 2").await;
}
