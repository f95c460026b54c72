//! Who asks too slowly, or does not take the answer.

use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::super::raw::{PATIENCE, Raw, get, post_head};
use super::{LITTLE_KIB, Target};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_too_slow_is_closed() {
    let target = Target::start("hostile-slow", &[("ANNALS_HTTP__DEADLINE_MS", "5000")]).await;
    let mut slow = JoinSet::new();
    for is_trickling in [false, true] {
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
            let mut client = Raw::connect_narrow(address).await;
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
