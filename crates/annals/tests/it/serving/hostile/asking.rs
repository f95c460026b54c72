//! What is asked is too much, or no request at all.

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

use super::super::raw::{get, post_head};
use super::{LITTLE_KIB, Target};

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
    let chunked = b"POST /v1/products HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
    let mut client = target.connect().await;
    assert!(client.send(&[&chunked[..], &chunk].concat()).await, "all of it is taken");
    assert_eq!(client.status().await, 413, "20 MB, in chunks");
    // Lies about the length.
    for lie in ["-1", "1e3", "99999999999999999999999", "5, 6"] {
        let head = format!(
            "POST /v1/products HTTP/1.1\r\nHost: localhost\r\nContent-Length: {lie}\r\n\r\n"
        );
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
        b"POST /v1/products HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
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

/// The code of a problem.
fn code(body: &str) -> String {
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{body:?}"));
    problem["code"].as_str().unwrap().to_owned()
}
