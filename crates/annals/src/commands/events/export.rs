//! `annals events export`: the log, or some of its events, as lines of JSON.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Read as _, Seek as _, Write};
use std::path::Path;

use anyhow::{Context as _, bail};
use application::audit::{self, Range};
use eventstore::archive::{Earlier, Export, Scope};
use eventstore::{EventStore, Filter, Position, Tag};
use indicatif::ProgressBar;

use super::{answer, known_types, listed, progress};
use crate::cli;

const BAR: &str = "{wide_bar} {human_pos} of {human_len} positions, {eta} to go";

pub(super) async fn export(store: EventStore, request: cli::Export) -> anyhow::Result<()> {
    let scope = scope(&store, &request).await?;
    let Some(path) = &request.output else {
        let mut export = Export::new(store, scope);
        // Lines and a bar on one terminal would spoil each other.
        let is_alone = !io::stdout().is_terminal();
        let bar = if is_alone { progress::bar(BAR)? } else { ProgressBar::hidden() };
        return write(&mut export, &mut BufWriter::new(io::stdout().lock()), &bar)
            .await
            .map(|_| ());
    };
    let done = into_file(store, scope, path).await;
    let (export, reached) = done.with_context(|| path.display().to_string())?;
    let what = if export.is_complete() { "all of the log" } else { "what was asked for" };
    answer(&format!("{} holds {what} up to position {reached}", path.display()))
}

/// What is asked for, of the log as it is now.
async fn scope(store: &EventStore, request: &cli::Export) -> anyhow::Result<Scope> {
    let cli::Export { types, categories, tags, .. } = request;
    known_types(store, types).await?;
    let known = audit::categories();
    if let Some(unknown) = categories.iter().find(|&name| !known.contains(name)) {
        bail!("no category is called {unknown:?}; there are: {}", listed(known));
    }
    let tags = tags.iter().map(|tag| Tag::new(tag.as_str()));
    let some = |names: &[String]| Some(names.to_vec()).filter(|names| !names.is_empty());
    let filter = Filter {
        categories: some(categories),
        types: some(types),
        tags: tags.collect::<Result<_, _>>().context("cannot look for this tag")?,
        actor: request.actor.clone(),
        tenant: request.tenant,
        correlation_id: request.correlation,
        causation_id: request.causation,
    };
    let range = Range {
        after: request.after.map(Position::new),
        to: request.to.map(Position::new),
        since: request.since,
        until: request.until,
    };
    let (after, to) = range.positions(store).await?;
    Ok(Scope { filter, after, to })
}

async fn into_file(
    store: EventStore,
    scope: Scope,
    path: &Path,
) -> anyhow::Result<(Export, Position)> {
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    if !file.metadata()?.is_file() {
        bail!("this is no file; without --output the export goes to standard output");
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("another export is writing to it"),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let mut export = match Earlier::read(BufReader::new(&file))? {
        Some(earlier) => {
            let bytes = earlier.bytes();
            let export = Export::resume(store, scope, earlier).await?;
            // Only now, when nothing is left to refuse.
            cut(&mut file, bytes)?;
            export
        }
        None => begun(store, scope, &mut file).await?,
    };
    let mut out = BufWriter::new(&file);
    let reached = write(&mut export, &mut out, &progress::bar(BAR)?).await?;
    drop(out);
    file.sync_all()?;
    Ok((export, reached))
}

/// An export from the start, into a file that holds nothing, or a torn header of the same export.
async fn begun(store: EventStore, scope: Scope, file: &mut File) -> anyhow::Result<Export> {
    let mut export = Export::new(store, scope);
    let header = export.next().await?.map(|chunk| chunk.text).unwrap_or_default();
    file.rewind()?;
    let mut found = Vec::new();
    file.take(header.len() as u64).read_to_end(&mut found)?;
    if !header.as_bytes().starts_with(&found) {
        bail!("it holds something else than an export of this log; nothing was written");
    }
    cut(file, 0)?;
    file.write_all(header.as_bytes())?;
    Ok(export)
}

fn cut(file: &mut File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)?;
    file.seek(io::SeekFrom::Start(bytes)).map(|_| ())
}

/// Writes what is left of `export`; answers how far it came.
async fn write(
    export: &mut Export,
    out: &mut impl Write,
    bar: &ProgressBar,
) -> anyhow::Result<Position> {
    let mut reached = Position::START;
    while let Some(chunk) = export.next().await? {
        out.write_all(chunk.text.as_bytes())?;
        reached = chunk.reached;
        bar.set_length(chunk.end.get().unsigned_abs());
        bar.set_position(reached.get().unsigned_abs());
    }
    out.flush()?;
    bar.finish_and_clear();
    Ok(reached)
}
