//! `/explorer`: a page that shows what the API is and tries it out. Everything it needs is in this
//! binary, so it works offline; the page may load from here and from nowhere else.

use std::io::{Cursor, Read as _};
use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

use crate::fixed_text::FixedText;
use crate::if_none_match::IfNoneMatch;
use crate::operation::Operation;
use crate::problem::{Code, Problem};
use crate::routes::Routes;

/// The program marks up as it goes, so styles may stand in the page; scripts may not.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";

static START: LazyLock<FixedText> = LazyLock::new(|| {
    FixedText::new("text/javascript; charset=utf-8", include_str!("explorer/start.js").to_owned())
});
static HTML: LazyLock<FixedText> = LazyLock::new(|| {
    FixedText::new("text/html; charset=utf-8", include_str!("explorer/page.html").to_owned())
});
static PROGRAM: LazyLock<Option<FixedText>> = LazyLock::new(|| {
    unpack("swagger-ui-bundle.js")
        .map(|text| FixedText::new("text/javascript; charset=utf-8", text))
});
static STYLE: LazyLock<Option<FixedText>> = LazyLock::new(|| {
    unpack("swagger-ui.css").map(|text| FixedText::new("text/css; charset=utf-8", text))
});

pub(crate) fn routes() -> Routes {
    let part = |id| Operation::page(id, "A part of the explorer");
    let page = Operation::page("explore", "Shows what the API is");
    Routes::default()
        .get("/explorer", page, async |asked: IfNoneMatch| answer(&asked, Some(&*HTML)))
        .get("/explorer/start.js", part("exploreStart"), async |asked: IfNoneMatch| {
            answer(&asked, Some(&*START))
        })
        .get(
            "/explorer/swagger-ui-bundle.js",
            part("exploreProgram"),
            async |asked: IfNoneMatch| answer(&asked, PROGRAM.as_ref()),
        )
        .get("/explorer/swagger-ui.css", part("exploreStyle"), async |asked: IfNoneMatch| {
            answer(&asked, STYLE.as_ref())
        })
}

fn answer(asked: &IfNoneMatch, text: Option<&'static FixedText>) -> Response {
    let Some(text) = text else {
        return Problem::new(Code::Internal, "The explorer cannot be unpacked.").into_response();
    };
    let mut response = text.answer(asked);
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
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
