//! TLS: who speaks it, and what happens to certificates while a process runs.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use testkit::eventually;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::raw::{PATIENCE, Raw, get};
use crate::support::{Process, Site, free_address, fresh_directory};

/// A certificate for this machine, and where a process finds it.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(name: &str) -> Self {
        let directory = fresh_directory(name);
        fs::create_dir_all(&directory).unwrap();
        Self { certificate: directory.join("certificate.pem"), key: directory.join("key.pem") }
    }

    /// Writes another certificate and its key; answers with the certificate.
    fn renew(&self) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(&self.key, made.signing_key.serialize_pem()).unwrap();
        fs::write(&self.certificate, made.cert.pem()).unwrap();
        made.cert.der().clone()
    }

    fn serve(&self, site: &Site, name: &str) -> Process {
        let mut command = site.command(&["serve", "--role", "api"]);
        self.tell(&mut command);
        Process::spawn(name, command, free_address())
    }

    fn tell(&self, command: &mut std::process::Command) {
        command
            .env("ANNALS_HTTP__TLS_CERTIFICATE", &self.certificate)
            .env("ANNALS_HTTP__TLS_KEY", &self.key);
    }
}

/// Connects as somebody who trusts `certificate` alone, and speaks one of `protocols`.
async fn connect(
    address: SocketAddr,
    certificate: &CertificateDer<'static>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(address.ip().into(), stream).await
}

/// A connection that stays, with HTTP/1.1.
async fn kept(stream: TlsStream<TcpStream>) -> http1::SendRequest<Empty<Bytes>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(process: &Process) -> Request<Empty<Bytes>> {
    let address = process.address;
    Request::get(format!("https://{address}/livez"))
        .header("host", address.to_string())
        .body(Empty::new())
        .unwrap()
}

/// Waits until the process listens; `/readyz` is of no use to a client without TLS.
async fn listening(process: &Process) {
    eventually(PATIENCE, "the process to listen", async || {
        let connected = TcpStream::connect(process.address).await;
        connected.map(drop).map_err(|error| format!("{error}: {}", process.output()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_choose_what_they_speak_over_tls() {
    let site = Site::new().await;
    let files = Files::new("tls-speak");
    let certificate = files.renew();
    let process = files.serve(&site, "tls-speak");
    listening(&process).await;

    let stream = connect(process.address, &certificate, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request(&process)).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_2));

    for protocols in [&["http/1.1"][..], &[]] {
        let stream = connect(process.address, &certificate, protocols).await.unwrap();
        let answer = kept(stream).await.send_request(request(&process)).await.unwrap();
        assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_11));
    }

    // Who does not speak TLS, or begins and leaves, disturbs nobody.
    let mut plain = Raw::connect(process.address).await;
    plain.send(&get("/livez")).await;
    assert!(!plain.rest().await.contains("HTTP/1.1 200"));
    for _ in 0..50 {
        let mut gone = Raw::connect(process.address).await;
        gone.send(b"\x16\x03\x01\x02\x00\x01").await;
    }
    let stranger = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    assert!(connect(process.address, stranger.cert.der(), &[]).await.is_err(), "not trusted");
    let answer = sender.send_request(request(&process)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);

    let mut healthcheck = site.command(&["healthcheck"]);
    files.tell(&mut healthcheck);
    healthcheck.env("ANNALS_HTTP__ADDRESS", process.address.to_string());
    eventually(PATIENCE, "the health check to go well", async || {
        let output = tokio::task::block_in_place(|| healthcheck.output().unwrap());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_used_and_a_broken_one_is_not() {
    let site = Site::new().await;
    let files = Files::new("tls-renew");
    let first = files.renew();
    let process = files.serve(&site, "tls-renew");
    listening(&process).await;
    let mut open = kept(connect(process.address, &first, &[]).await.unwrap()).await;
    let used = async |certificate: &CertificateDer<'static>| {
        eventually(PATIENCE, "the certificate to be used", async || {
            connect(process.address, certificate, &[]).await.map(drop).map_err(|e| e.to_string())
        })
        .await;
    };
    let told = async |times: usize| {
        eventually(PATIENCE, "the log to tell that it cannot be used", async || {
            let told = process.output().matches("the new certificate cannot be used").count();
            if told >= times { Ok(()) } else { Err(told) }
        })
        .await;
    };

    let second = files.renew();
    used(&second).await;
    assert!(connect(process.address, &first, &[]).await.is_err(), "the first one is gone");
    let answer = open.send_request(request(&process)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "what was open goes on");

    // Half written, of another key, gone: the one that was good stays.
    let certificate = fs::read(&files.certificate).unwrap();
    let before = process.output().matches("the new certificate cannot be used").count();
    fs::write(&files.certificate, &certificate[..certificate.len() / 2]).unwrap();
    told(before + 1).await;
    connect(process.address, &second, &[]).await.unwrap();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(&files.certificate, other.cert.pem()).unwrap();
    told(before + 2).await;
    connect(process.address, &second, &[]).await.unwrap();
    fs::remove_file(&files.certificate).unwrap();
    told(before + 3).await;
    connect(process.address, &second, &[]).await.unwrap();

    let third = files.renew();
    used(&third).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_is_said_at_the_start() {
    let site = Site::new().await;
    let files = Files::new("tls-refused");
    let refused = |name: &str| {
        let process = site.command(&["serve", "--role", "api"]);
        let mut process = process;
        files.tell(&mut process);
        process.env("ANNALS_HTTP__ADDRESS", free_address().to_string());
        let output = tokio::task::block_in_place(|| process.output().unwrap());
        assert_eq!(output.status.code(), Some(1), "{name}");
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused("no files");
    assert!(said.contains("cannot read") && said.contains("certificate.pem"), "{said}");
    files.renew();
    let key = fs::read(&files.key).unwrap();
    fs::write(&files.key, "nothing").unwrap();
    let said = refused("no key");
    assert!(said.contains("key.pem holds no private key"), "{said}");
    files.renew();
    fs::write(&files.key, key).unwrap();
    let said = refused("another key");
    assert!(said.contains("cannot be used together"), "{said}");
    fs::write(&files.certificate, "nothing").unwrap();
    let said = refused("no certificate");
    assert!(said.contains("certificate.pem holds no certificate"), "{said}");
}
