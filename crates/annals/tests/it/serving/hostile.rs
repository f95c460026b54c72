//! Clients that mean ill, or know no better: each gets a clear answer or is closed in bounded
//! time, others are served meanwhile, and memory stays bounded.

use std::fs;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit, setrlimit};
use serde_json::Value;
use testkit::eventually;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::raw::{PATIENCE, Raw, get, post_head};
use crate::support::{Process, Site, free_address};

/// Settings that are short, so that a test need not wait for long.
const SHORT: [(&str, &str); 4] = [
    ("ANNALS_HTTP__HEADER_TIMEOUT_MS", "2000"),
    ("ANNALS_HTTP__KEEP_ALIVE_MS", "4000"),
    ("ANNALS_HTTP__WRITE_TIMEOUT_MS", "3000"),
    ("ANNALS_HTTP__DEADLINE_MS", "3000"),
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
        command.envs(SHORT).envs(settings.iter().copied());
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
        assert_eq!(answer.status(), 200);
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

/// The code of a problem.
fn code(body: &str) -> String {
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{body:?}"));
    problem["code"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_too_large_are_refused_as_such() {
    let target = Target::start("hostile-heads", &[]).await;
    let head = |lines: &str| format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    let many = "X-Many: some\r\n".repeat(10_000);
    assert_eq!(target.refuses(head(&many).as_bytes()).await, 431, "10,000 headers");
    let few = "X-Few: some\r\n".repeat(100);
    assert_eq!(target.refuses(head(&few).as_bytes()).await, 431, "101 headers");
    let long = format!("X-Long: {}\r\n", "x".repeat(1_000_000));
    assert_eq!(target.refuses(head(&long).as_bytes()).await, 431, "a header of 1 MB");
    assert_eq!(
        target.refuses(&get(&format!("/{}", "x".repeat(1_000_000)))).await,
        431,
        "1 MB of URL"
    );
    assert_eq!(target.refuses(&vec![b'A'; 1_000_000]).await, 431, "1 MB of a method");
    assert_eq!(target.refuses(&b"\r\n".repeat(500_000)).await, 431, "1 MB of empty lines");

    // What is large and not too large goes its way.
    let mut client = target.connect().await;
    client.send(&get(&format!("/v1/orders?{}=1", "x".repeat(20_000)))).await;
    let (status, _, body) = client.answer().await;
    assert_eq!((status, code(&body).as_str()), (400, "invalid-parameter"));
    target.stands(LITTLE_KIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_http_2_are_bounded_as_well() {
    let target = Target::start("hostile-http2-heads", &[]).await;
    let ask = async |headers: usize| {
        let stream = TcpStream::connect(target.process.address).await.unwrap();
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = hyper::Request::get(target.process.url("/livez"));
        for number in 0..headers {
            request = request.header(format!("x-{number}"), "x".repeat(100));
        }
        sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await
    };
    for _ in 0..20 {
        assert_eq!(ask(100).await.unwrap().status(), 200);
        assert_eq!(ask(300).await.unwrap().status(), 431);
        let told = format!("{:?}", ask(10_000).await.unwrap_err());
        assert!(told.contains("ENHANCE_YOUR_CALM"), "{told}");
    }
    target.stands(LITTLE_KIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_hurt_are_refused_and_the_answer_arrives() {
    let target = Target::start("hostile-bodies", &[]).await;
    let deep = "[".repeat(100_000);
    let deep_lines = format!(r#"{{"lines":{}"#, "[".repeat(100_000));
    for body in
        [deep.as_bytes(), deep_lines.as_bytes(), b"{\"lines\": \"\xc3\x28\"}", &[0xff; 9_000]]
    {
        for path in ["/v1/orders", "/v1/products"] {
            let mut client = target.connect().await;
            assert!(client.send(&[&post_head(path, body.len()), body].concat()).await);
            let (status, _, answer) = client.answer().await;
            assert!((400..500).contains(&status), "{status} {answer}");
            code(&answer);
        }
    }
    // The client goes on sending after it was refused, and still reads why.
    let large = vec![b' '; 20_000_000];
    let announced = [post_head("/v1/orders", large.len()), large.clone()].concat();
    let mut client = target.connect().await;
    assert!(client.send(&announced).await, "all of it is taken");
    assert_eq!(client.status().await, 413, "20 MB, announced");
    let chunked = b"POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    let mut client = target.connect().await;
    assert!(client.send(&[&chunked[..], &chunk].concat()).await, "all of it is taken");
    assert_eq!(client.status().await, 413, "20 MB, in chunks");
    // Lies about the length.
    for lie in ["-1", "1e3", "99999999999999999999999", "5, 6"] {
        let head =
            format!("POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: {lie}\r\n\r\n");
        assert_eq!(target.refuses(head.as_bytes()).await, 400, "{lie}");
    }
    target.stands(LITTLE_KIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_refused() {
    let target = Target::start("hostile-garbage", &[]).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\x00\x01\x02\x03\x04\x05\x06\x07\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET /livez HTTP/9.9\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nNo colon\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nA: \x00\r\n\r\n",
        b"POST /v1/orders HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
    ] {
        let status = target.refuses(garbage).await;
        assert_eq!(status, 400, "{}", String::from_utf8_lossy(garbage));
    }
    // A beginning of HTTP/2 and then something else.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut client = target.connect().await;
    client.send(&[&preface[..], &[0xff; 4_000]].concat()).await;
    client.rest().await;
    target.stands(LITTLE_KIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_too_slow_is_closed() {
    let target = Target::start("hostile-slow", &[]).await;
    let mut slow = JoinSet::new();
    let body = post_head("/v1/orders", 1_000);
    for begin in [
        &b""[..],
        b"P",
        b"PRI * HTTP/2.0",
        b"GET /livez HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        &[&get("/livez")[..], b"GET /livez HTTP/1.1\r\n"].concat(),
        &body,
    ] {
        for is_trickling in [false, true] {
            let (address, begin) = (target.process.address, begin.to_owned());
            slow.spawn(async move {
                let mut client = Raw::connect(address).await;
                client.send(&begin).await;
                trickle(client, is_trickling, &begin).await
            });
        }
    }
    let answers = slow.join_all().await;
    let late = answers.iter().filter(|answer| answer.contains("deadline-exceeded"));
    assert_eq!(late.count(), 2, "who has asked and does not go on is told: {answers:#?}");
    target.stands(LITTLE_KIB).await;
}

/// Sends a byte every now and then, or nothing; everything that is answered until the end.
async fn trickle(client: Raw, is_trickling: bool, begin: &[u8]) -> String {
    let (read, mut write) = client.stream.into_split();
    let trickling = tokio::spawn(async move {
        while is_trickling && write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        write
    });
    let mut bytes = Vec::new();
    let mut read = read;
    let ended = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut bytes);
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    assert!(ended.is_ok(), "still open: {:?}", String::from_utf8_lossy(begin));
    trickling.abort();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_no_answer_is_closed() {
    let target = Target::start("hostile-deaf", &[]).await;
    let mut deaf = JoinSet::new();
    for _ in 0..20 {
        let address = target.process.address;
        deaf.spawn(async move {
            let mut client = Raw::connect(address).await;
            // Asks on and on until nothing more is taken, and then the connection ends.
            while client.send(&get("/problems").repeat(100)).await {}
        });
    }
    deaf.join_all().await;
    target.stands(LITTLE_KIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_no_answer_over_http_2_is_closed() {
    let target = Target::start("hostile-deaf-http2", &[]).await;
    let mut deaf = JoinSet::new();
    for _ in 0..20 {
        let stream = TcpStream::connect(target.process.address).await.unwrap();
        let url = target.process.url("/problems");
        deaf.spawn(async move {
            // One byte may be sent to it, and it answers pings.
            let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(1)
                .handshake(TokioIo::new(stream))
                .await
                .unwrap();
            let connection = tokio::spawn(connection);
            let mut answers = Vec::new();
            for _ in 0..50 {
                let request = hyper::Request::get(&url).body(Empty::<Bytes>::new()).unwrap();
                answers.push(sender.send_request(request).await.unwrap());
            }
            tokio::time::timeout(PATIENCE, connection).await.expect("an end").unwrap().ok();
            for answer in answers {
                assert!(answer.into_body().collect().await.is_err(), "cut off");
            }
        });
    }
    deaf.join_all().await;
    target.stands(3 * LITTLE_KIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ends_his_half_is_answered_or_closed() {
    let target = Target::start("hostile-half", &[]).await;
    let body = post_head("/v1/orders", 1_000);
    for begin in [&b""[..], b"GET /li", &get("/livez"), &body] {
        let mut client = target.connect().await;
        client.send(begin).await;
        client.stream.shutdown().await.unwrap();
        client.rest().await;
    }
    target.stands(LITTLE_KIB).await;
}

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
    assert_eq!(target.process.output().matches("as many connections as may be").count(), 1);
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
