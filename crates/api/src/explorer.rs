//! `/explorer`: a page that shows what the API is and tries it out. Everything it needs is in this
//! binary, so it works offline; the page may load from here and from nowhere else.

use std::io::{Cursor, Read as _};
use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

use crate::operation::Operation;
use crate::problem::{Code, Problem};
use crate::routes::Routes;

const PAGE: &str = include_str!("explorer/page.html");
const START: &str = include_str!("explorer/start.js");

/// The program marks up as it goes, so styles may stand in the page; scripts may not.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";

static PROGRAM: LazyLock<Option<String>> = LazyLock::new(|| unpack("swagger-ui-bundle.js"));
static STYLE: LazyLock<Option<String>> = LazyLock::new(|| unpack("swagger-ui.css"));

pub(crate) fn routes() -> Routes {
    let part = |id| Operation::page(id, "A part of the explorer");
    Routes::default()
        .get("/explorer", Operation::page("explore", "Shows what the API is"), async || {
            file("text/html; charset=utf-8", Some(PAGE))
        })
        .get("/explorer/start.js", part("exploreStart"), async || {
            file("text/javascript; charset=utf-8", Some(START))
        })
        .get("/explorer/swagger-ui-bundle.js", part("exploreProgram"), async || {
            file("text/javascript; charset=utf-8", PROGRAM.as_deref())
        })
        .get("/explorer/swagger-ui.css", part("exploreStyle"), async || {
            file("text/css; charset=utf-8", STYLE.as_deref())
        })
}

fn file(media_type: &'static str, text: Option<&'static str>) -> Response {
    let Some(text) = text else {
        return Problem::new(Code::Internal, "The explorer cannot be unpacked.").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

/// A file of the archive that was built in.
fn unpack(name: &str) -> Option<String> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).ok()?;
    let suffix = format!("/dist/{name}");
    // There are several flavours: the plain one has the shortest path.
    let paths = archive.file_names().filter(|path| path.ends_with(&suffix));
    let path = paths.min_by_key(|path| path.len())?.to_owned();
    let mut text = String::new();
    archive.by_name(&path).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}
