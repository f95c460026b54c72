//! `annals events import`: an empty log becomes one that an archive holds.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use eventstore::EventStore;
use eventstore::archive::{Import, MAX_LINE_BYTES};

use super::{answer, progress};

pub(super) async fn import(store: &EventStore, path: &Path) -> anyhow::Result<()> {
    let (mut source, bytes): (Box<dyn BufRead>, u64) = if path == Path::new("-") {
        (Box::new(io::stdin().lock()), 0)
    } else {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let bytes = file.metadata()?.len();
        (Box::new(BufReader::with_capacity(1 << 16, file)), bytes)
    };
    let bar = progress::bar("{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {msg}")?;
    bar.set_length(bytes);
    let Some(header) = next_line(&mut source)? else { bail!("the archive is empty") };
    let mut import = Import::begin(store.pool(), &header).await?;
    while let Some(line) = next_line(&mut source)? {
        bar.inc(line.len() as u64 + 1);
        bar.set_message(format!("position {}", import.position()));
        import.push(&line).await?;
    }
    let imported = import.commit().await?;
    bar.finish_and_clear();
    let eventstore::archive::Imported { log_id, position, commands, claims } = imported;
    answer(&format!(
        "this is log {log_id} now, up to position {position}, with {commands} commands and {claims} claims"
    ))
}

fn next_line(source: &mut impl BufRead) -> anyhow::Result<Option<String>> {
    let mut line = String::new();
    let limit = MAX_LINE_BYTES as u64;
    source.by_ref().take(limit).read_line(&mut line).context("read the archive")?;
    if line.len() >= MAX_LINE_BYTES {
        bail!("the archive is damaged: a line is longer than {MAX_LINE_BYTES} bytes");
    }
    if line.is_empty() {
        return Ok(None);
    }
    if line.ends_with('\n') {
        line.pop();
    }
    Ok(Some(line))
}
