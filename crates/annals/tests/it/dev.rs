//! `annals dev`: one command, everything, and nothing left behind.

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use testkit::eventually;

use crate::support::{Client, Process, dev, free_address, fresh_directory};

/// The variables of `dev.env`, as a shell reads them.
fn variables(directory: &Path) -> HashMap<String, String> {
    let file = directory.join("dev.env");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let script = format!(". '{}'; env", file.display());
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn listens(url: &str) -> bool {
    let place = url.split("://").nth(1).unwrap().rsplit('@').next().unwrap();
    let address: SocketAddr = place.split('/').next().unwrap().parse().unwrap();
    TcpStream::connect(address).is_ok()
}

async fn services_are_gone(variables: &HashMap<String, String>) {
    eventually(Duration::from_secs(30), "the services to be gone", async || {
        let urls = [&variables["DATABASE_URL"], &variables["NATS_URL"]];
        let left = urls.into_iter().find(|url| listens(url));
        left.map_or(Ok(()), Err)
    })
    .await;
}

/// The demo operator, with what the documents and the banner say.
async fn as_operator(process: &Process) -> Client {
    let client = Client::new(process.url(""));
    client.log_in("operator@example.org", "every teapot needs a lid").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_demo_data_and_stops_everything_when_told() {
    let directory = fresh_directory("dev-stop");
    let mut process = Process::spawn("dev", dev(&directory), free_address());
    process.ready().await;
    let client = as_operator(&process).await;
    let orders = eventually(Duration::from_secs(30), "the demo orders to be settled", async || {
        let orders = client.all("/v1/orders").await;
        let settled = orders.iter().filter(|order| order["status"] != "placed").count();
        if settled == 3 { Ok(orders) } else { Err(orders) }
    })
    .await;
    assert!(orders.iter().any(|order| order["status"] == "rejected"), "one of them is too large");
    assert_eq!(client.all("/v1/products").await.len(), 5);

    let told = eventually(Duration::from_secs(10), "it to tell where to look", async || {
        let output = process.output();
        if output.contains("Ctrl-C drains") { Ok(output) } else { Err(output) }
    })
    .await;
    let begin = told.find("  TOKEN=").expect("something to copy");
    let commands = told[begin..].split("\n\n").next().unwrap().replace("curl -s ", "curl -fsS ");
    let copied = Command::new("bash").args(["-euo", "pipefail", "-c", &commands]).output().unwrap();
    assert!(copied.status.success(), "{commands}\n{copied:?}");
    let answers = String::from_utf8(copied.stdout).unwrap();
    assert!(answers.contains("TEA-GREEN"), "{answers}");
    let variables = variables(&directory);
    assert_eq!(variables["ANNALS_URL"], process.url(""));
    let keys = directory.join("keys");
    assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(variables["ANNALS_KEYS__ENCRYPTION"], fs::read_to_string(keys).unwrap().trim());
    assert!(listens(&variables["DATABASE_URL"]) && listens(&variables["NATS_URL"]));

    let mut second = Process::spawn("dev-second", dev(&directory), free_address());
    assert_eq!(second.ended(Duration::from_secs(30)).await.code(), Some(1));
    assert!(second.output().contains("already runs"), "{}", second.output());

    process.signal(Signal::INT);
    let status = process.ended(Duration::from_secs(30)).await;
    assert!(status.success(), "{status}: {}", process.output());
    assert!(!listens(&variables["DATABASE_URL"]) && !listens(&variables["NATS_URL"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_it_leaves_nothing_running_and_starts_again_with_its_data() {
    let directory = fresh_directory("dev-kill");
    let mut process = Process::spawn("dev-kill", dev(&directory), free_address());
    process.ready().await;
    let product = as_operator(&process).await.list_product("KEPT-1", 3).await;
    let before = variables(&directory);
    process.kill9();
    services_are_gone(&before).await;

    // Whoever has sourced dev.env means the private services, not those of the past.
    let mut again = dev(&directory);
    again.env("DATABASE_URL", &before["DATABASE_URL"]).env("NATS_URL", &before["NATS_URL"]);
    let mut process = Process::spawn("dev-again", again, free_address());
    process.ready().await;
    let client = as_operator(&process).await;
    let products = eventually(Duration::from_secs(30), "all products to be seen", async || {
        let products = client.all("/v1/products").await;
        if products.len() >= 6 { Ok(products) } else { Err(products) }
    })
    .await;
    assert_eq!(products.len(), 6, "the demo data is there once, and what was added");
    assert!(products.iter().any(|listed| listed["id"] == product.as_str()));
    process.signal(Signal::TERM);
    assert!(process.ended(Duration::from_secs(30)).await.success(), "{}", process.output());
    let after = variables(&directory);
    assert_eq!(after["ANNALS_KEYS__ENCRYPTION"], before["ANNALS_KEYS__ENCRYPTION"], "kept");
    services_are_gone(&after).await;
}
