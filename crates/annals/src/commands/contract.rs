//! `annals contract`: the documents of the public messages, and whether they keep their promises.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use super::answer;
use crate::cli::Contract;
use crate::contract::{ASYNC_API, Documents, breaks, documents, schema_path, text};

pub(super) fn run(command: &Contract) -> anyhow::Result<()> {
    match command {
        Contract::Show { message_type } => show(message_type.as_deref()),
        Contract::Write { directory, breaking } => write(directory, *breaking),
        Contract::Check { directory } => check(directory),
    }
}

fn show(message_type: Option<&str>) -> anyhow::Result<()> {
    let path = message_type.map_or_else(|| ASYNC_API.to_owned(), schema_path);
    let documents = documents();
    let Some(document) = documents.get(&path) else {
        let known: Vec<_> = domain::Message::types().map(|known| known.to_string()).collect();
        bail!("there is no message of this type: use one of {}", known.join(", "));
    };
    answer(text(document).trim_end())
}

fn write(directory: &Path, breaking: bool) -> anyhow::Result<()> {
    let current = documents();
    if directory.join(ASYNC_API).exists() {
        let earlier = read(directory)?;
        if !breaking {
            let broken = sentences(&earlier, &current);
            ensure!(
                broken.is_empty(),
                "readers of the contract in {} would break, so nothing was written \
                 (--breaking writes it nevertheless):\n{}",
                directory.display(),
                broken.join("\n")
            );
        }
        for gone in earlier.keys().filter(|path| !current.contains_key(*path)) {
            let file = directory.join(gone);
            fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
        }
    }
    let schemas = directory.join("schemas");
    fs::create_dir_all(&schemas)
        .with_context(|| format!("make directory {}", schemas.display()))?;
    for (path, document) in &current {
        let file = directory.join(path);
        fs::write(&file, text(document)).with_context(|| format!("write {}", file.display()))?;
    }
    answer(&format!("wrote {} documents to {}", current.len(), directory.display()))
}

fn check(directory: &Path) -> anyhow::Result<()> {
    let broken = sentences(&read(directory)?, &documents());
    ensure!(
        broken.is_empty(),
        "readers of the contract in {} would break:\n{}",
        directory.display(),
        broken.join("\n")
    );
    answer("everything that the earlier contract promises is kept")
}

fn sentences(earlier: &Documents, current: &Documents) -> Vec<String> {
    breaks(earlier, current).iter().map(ToString::to_string).collect()
}

/// The contract in `directory`.
fn read(directory: &Path) -> anyhow::Result<Documents> {
    let mut paths = vec![ASYNC_API.to_owned()];
    let schemas = directory.join("schemas");
    let entries =
        schemas.read_dir().with_context(|| format!("no contract in {}", directory.display()))?;
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(message_type) = name.strip_suffix(".json") {
            paths.push(schema_path(message_type));
        }
    }
    let documents = paths.into_iter().map(|path| {
        let file = directory.join(&path);
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let document = serde_json::from_str(&text)
            .with_context(|| format!("{} is no JSON", file.display()))?;
        Ok((path, document))
    });
    documents.collect()
}
