//! A private provider of identities: the real oidc-provider, from npm.
//!
//! It runs as a program of its own (`oidc_provider.mjs`). Its pages are those of the package: one asks
//! for a name and any password, one for consent.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, IoContext};
use crate::instance::Instance;
use crate::lifeline::{Lifeline, Service};
use crate::node::Node;
use crate::port::{self, Wanted};

const SCRIPT: &str = include_str!("oidc_provider.mjs");
const READY_LIMIT: Duration = Duration::from_mins(1);

/// A provider of our own; it stops when this value is dropped or this process ends.
#[derive(Debug)]
pub struct OidcProvider {
    port: u16,
    home: PathBuf,
    log: PathBuf,
    node: Node,
    settings: Settings,
    lifeline: Option<Lifeline>,
    _instance: Instance,
}

/// Who may ask an [`OidcProvider`] for logins.
#[derive(Debug, Clone, Serialize)]
pub struct OidcClient {
    /// What it is called.
    pub id: String,
    /// What proves it.
    pub secret: String,
    /// Where browsers are sent afterwards.
    pub redirect_uris: Vec<String>,
}

/// What an [`OidcProvider`] says of somebody; what there is not it does not say.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OidcAccount {
    /// The address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether it vouches for the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// What people call the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Debug, Serialize)]
struct Settings {
    module: PathBuf,
    port: u16,
    client: OidcClient,
    accounts: BTreeMap<String, OidcAccount>,
}

impl OidcProvider {
    /// Starts one, at which `client` may ask for logins. Nobody has an account there yet.
    ///
    /// # Errors
    /// Node.js or the package cannot be fetched (see [`Node::with`]), or it does not start.
    pub fn start(client: OidcClient) -> Result<Self, Error> {
        let node = Node::with("oidc-provider", "9.13.3")?;
        let instance = Instance::create()?;
        let home = instance.oidc_provider();
        fs::create_dir_all(&home).doing("create directory", &home)?;
        let log = instance.log("oidc-provider");
        let module = node.file("lib/index.js");
        let module = module.canonicalize().doing("find", &module)?;
        let mut settings = Settings { module, port: 0, client, accounts: BTreeMap::new() };
        let (port, lifeline) = port::claim(Wanted::Preferably(None), |port| {
            settings.port = port;
            settings.write(&home)?;
            launch(&node, &home, &log, port)
        })?;
        let lifeline = Some(lifeline);
        Ok(Self { port, home, log, node, settings, lifeline, _instance: instance })
    }

    /// Who it is.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on somebody who logs in as `name` is this one.
    ///
    /// # Panics
    /// That cannot be written down.
    pub fn know(&mut self, name: &str, account: OidcAccount) {
        self.settings.accounts.insert(name.to_owned(), account);
        self.settings.write(&self.home).expect("write down who has an account");
    }

    /// Kills it, and starts it again on the same port; logins that were begun are lost.
    ///
    /// # Errors
    /// It does not start.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.kill9();
        let (_, lifeline) = port::claim(Wanted::Exactly(self.port), |port| {
            launch(&self.node, &self.home, &self.log, port)
        })?;
        self.lifeline = Some(lifeline);
        Ok(())
    }

    /// Ends it with SIGKILL. [`OidcProvider::restart`] brings it back.
    pub fn kill9(&mut self) {
        if let Some(lifeline) = self.lifeline.take() {
            lifeline.kill();
        }
    }

    /// Freezes it with SIGSTOP: it takes connections and answers nothing.
    pub fn pause(&self) {
        if let Some(lifeline) = &self.lifeline {
            lifeline.freeze();
        }
    }

    /// Lets it run on.
    pub fn resume(&self) {
        if let Some(lifeline) = &self.lifeline {
            lifeline.thaw();
        }
    }
}

impl Settings {
    fn write(&self, home: &Path) -> Result<(), Error> {
        let (draft, file) = (home.join("settings.draft"), home.join("settings"));
        fs::write(&draft, serde_json::json!(self).to_string()).doing("write", &draft)?;
        fs::rename(&draft, &file).doing("write", &file)
    }
}

fn launch(node: &Node, home: &Path, log: &Path, port: u16) -> Result<Lifeline, Error> {
    let mut lifeline = Lifeline::spawn(Service {
        name: "oidc-provider",
        program: node.program(),
        arguments: vec!["--input-type=module".into(), "-e".into(), SCRIPT.into(), home.into()],
        stop_signal: "TERM",
        account: None,
        log,
    })?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    lifeline.await_ready(READY_LIMIT, || {
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
    })?;
    Ok(lifeline)
}
