//! The console's pages: files compiled into the binary, served to browsers. They hold no data; what they show they ask
//! of the API, with the session of the person.
//!
//! Plain modules, a style sheet and an icon, no build step: what is in `web/` is what the browser gets. The policy
//! allows nothing but these files and this origin, so no text of a partner's can become script, style or a foreign
//! request even if a page had a mistake.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::LazyLock;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use openssl::sha::sha256;

use super::problem::Problem;

/// What a page may load and do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Path, type, content.
type File = (&'static str, &'static str, &'static [u8]);

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! file {
    ($name:literal, $kind:expr) => {
        (concat!("/assets/", $name), $kind, include_bytes!(concat!("web/", $name)).as_slice())
    };
}

/// The page itself; which of its views is shown stands behind the `#`.
const INDEX: &[u8] = include_bytes!("web/index.html");

const FILES: [File; 25] = [
    file!("console.css", "text/css; charset=utf-8"),
    file!("icon.svg", "image/svg+xml"),
    file!("agreement.js", SCRIPT),
    file!("alerts.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("app.js", SCRIPT),
    file!("audit.js", SCRIPT),
    file!("certificates.js", SCRIPT),
    file!("exchanges.js", SCRIPT),
    file!("chart.js", SCRIPT),
    file!("connectivity.js", SCRIPT),
    file!("declarations.js", SCRIPT),
    file!("dialog.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("enter.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("message.js", SCRIPT),
    file!("messages.js", SCRIPT),
    file!("now.js", SCRIPT),
    file!("partners.js", SCRIPT),
    file!("precheck.js", SCRIPT),
    file!("rows.js", SCRIPT),
    file!("settings.js", SCRIPT),
    file!("text.js", SCRIPT),
    file!("words.js", SCRIPT),
];

/// Changes with any of the files; browsers ask with it and get 304 while it holds. Weak: gzipped files have it too.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let all: Vec<u8> = FILES.iter().flat_map(|(_, _, content)| *content).chain(INDEX).copied().collect();
    let digits = sha256(&all);
    format!("W/\"{}\"", digits.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>())
});

/// The files as most browsers get them, by their paths. Answers of the API are never compressed: they hold secrets beside
/// what others wrote, and their length would tell of both.
static GZIPPED: LazyLock<HashMap<&'static str, Vec<u8>>> = LazyLock::new(|| {
    let texts = FILES.iter().map(|(path, _, content)| (*path, *content)).chain([("/", INDEX), ("/setup", INDEX)]);
    texts.filter_map(|(path, content)| Some((path, gzipped(content)?))).collect()
});

fn gzipped(content: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).ok()?;
    encoder.finish().ok()
}

/// Whether the browser takes gzip (RFC 9110 12.5.3); one that weighs encodings gets the files as they are.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    named.split(',').any(|each| each.trim().eq_ignore_ascii_case("gzip"))
}

/// Answers what no route answers: the page, one of its files, or that there is no such thing.
pub(super) async fn page(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Problem::no_route().into_response();
    }
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == TAG.as_bytes());
    let path = request.uri().path();
    let Some((kind, content)) = find(path) else { return Problem::no_route().into_response() };
    if known {
        return headed((StatusCode::NOT_MODIFIED, ()).into_response());
    }
    let kind = [(header::CONTENT_TYPE, kind), (header::VARY, "accept-encoding")];
    let gzipped = GZIPPED.get(path).filter(|_| takes_gzip(request.headers()));
    let response = match gzipped {
        Some(gzipped) => (kind, [(header::CONTENT_ENCODING, "gzip")], gzipped.as_slice()).into_response(),
        None => (kind, content).into_response(),
    };
    headed(response)
}

fn find(path: &str) -> Option<(&'static str, &'static [u8])> {
    match path {
        "/" | "/setup" => Some((HTML, INDEX)),
        _ => FILES.iter().find(|(name, _, _)| *name == path).map(|(_, kind, content)| (*kind, *content)),
    }
}

fn headed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&TAG) {
        headers.insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::declaration::standing::Standing;
    use crate::outbound::Action;
    use crate::store::alert::Level;
    use crate::store::exchange::EXCHANGE;
    use crate::store::trail;

    fn text(content: &'static [u8]) -> &'static str {
        std::str::from_utf8(content).unwrap()
    }

    fn scripts() -> impl Iterator<Item = &'static str> {
        FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT).map(|(_, _, content)| text(content))
    }

    #[test]
    fn every_file_of_the_console_is_served() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/console/web");
        let there: BTreeSet<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| format!("/assets/{}", entry.unwrap().file_name().to_str().unwrap()))
            .filter(|name| name != "/assets/index.html")
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|(name, _, _)| (*name).to_owned()).collect();
        assert_eq!(served, there);
    }

    #[test]
    fn the_first_view_is_less_than_200_kb() {
        // With the heads of the answers, and room for what the first page asks for: fifty alerts are 40 kB.
        let heads = (FILES.len() + 1) * 1000;
        let all: usize = FILES.iter().map(|(_, _, content)| content.len()).sum::<usize>() + INDEX.len();
        assert!(all + heads < 200_000, "{all} bytes to a browser that takes no gzip");
        let sent: usize = FILES.iter().map(|(path, _, _)| GZIPPED[path].len()).sum::<usize>() + GZIPPED["/"].len();
        assert!(sent + heads < 100_000, "{sent} bytes");
    }

    #[test]
    fn no_page_makes_markup_from_text_or_breaks_its_own_policy() {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            ".style = ",
            "cssText",
        ] {
            for script in scripts() {
                assert!(!script.contains(forbidden), "{forbidden}");
            }
        }
        let index = text(INDEX);
        assert!(!index.contains("<style") && !index.contains(" style=") && !index.contains(" on"), "inline");
        assert_eq!(index.matches("<script").count(), index.matches("<script type=\"module\" src=\"/assets/").count());
    }

    /// The first string of every `t("key"` and of every `t(… ? "a" : "b"`.
    fn keys(script: &str) -> Vec<&str> {
        let mut keys = Vec::new();
        for (at, _) in script.match_indices("t(") {
            let before = script[..at].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || before == '_') {
                continue;
            }
            let end = script[at..].find([',', ')']).map_or(script.len(), |end| at + end);
            keys.extend(script[at..end].split('"').skip(1).step_by(2));
        }
        keys
    }

    #[test]
    fn every_word_of_the_pages_exists_in_both_languages() {
        let words = text(include_bytes!("web/words.js"));
        for script in scripts().filter(|script| *script != words) {
            for key in keys(script) {
                assert!(words.contains(&format!("\n  \"{key}\": [\"")), "{key}");
            }
        }
        for line in words.lines().filter(|line| line.starts_with("  \"")) {
            assert!(line.ends_with("\"],") && line.matches("\", \"").count() == 1, "{line}");
        }
    }

    fn past(action: Action) -> &'static str {
        match action {
            Action::Retry => "retried",
            Action::Hold => "held",
            Action::Release => "released",
            Action::Cancel => "cancelled",
            Action::Resend => "resent",
            Action::LegalHold => "legal-held",
            Action::LegalRelease => "legal-released",
        }
    }

    #[test]
    fn every_name_that_the_api_sends_has_its_word() {
        let words = text(include_bytes!("web/words.js"));
        let facts = text(include_bytes!("../store/fact.rs")).lines().filter(|line| line.contains("Fact::"));
        let facts: Vec<&str> = facts.filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\",")).collect();
        assert!(facts.len() > 30, "{facts:?}");
        let levels = [Level::Warning, Level::Error, Level::Security].map(|level| serde_json::to_value(level).unwrap());
        let levels: Vec<&str> = levels.iter().filter_map(|level| level.as_str()).collect();
        let standings = Standing::ALL.map(Standing::name);
        for (kind, names) in [("fact", &facts), ("level", &levels), ("standing", &standings.to_vec())] {
            for name in names {
                assert!(words.contains(&format!("\n  \"{kind}.{name}\": [\"")), "{kind}.{name}");
            }
        }
        let done = Action::ALL.map(|action| format!("message-{}", past(action)));
        let others =
            [trail::PAUSED, trail::RESUMED, trail::ACKNOWLEDGED, trail::NOTED, trail::TABLES_CHANGED, EXCHANGE];
        let files =
            [trail::PARTNER_ADDED, trail::PARTNER_CHANGED, trail::PARTNER_REMOVED, trail::CONFIGURATION_CHANGED];
        let stopped = files.map(|what| format!("{what}{}", trail::WHILE_STOPPED));
        for what in done.iter().chain(&stopped).map(String::as_str).chain(others).chain(files) {
            assert!(words.contains(&format!("\n  \"did.{what}\": [\"")), "{what}");
        }
        let style = text(include_bytes!("web/console.css"));
        assert!(levels.iter().all(|level| style.contains(&format!(".chip.{level}"))), "{levels:?}");
    }

    #[test]
    fn no_path_leads_out_of_the_files() {
        for path in [
            "/assets/",
            "/assets/../Cargo.toml",
            "/assets/%2e%2e/x",
            "//assets/app.js",
            "/index.html",
            "/assets/app.js/",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }

    /// The colours of one theme, by their names.
    fn theme(style: &str, begin: &str) -> std::collections::BTreeMap<String, [f64; 3]> {
        let block = style.split(begin).nth(1).and_then(|rest| rest.split('}').next()).expect("a theme");
        let colour = |declared: &str| {
            let (name, value) = declared.trim().split_once(": #")?;
            let channel = |at: usize| u8::from_str_radix(&value[at..at + 2], 16).map(f64::from).ok();
            Some((name.strip_prefix("--")?.to_owned(), [channel(0)?, channel(2)?, channel(4)?]))
        };
        block.split(';').filter_map(colour).collect()
    }

    /// WCAG 2.2, relative luminance.
    fn luminance(colour: [f64; 3]) -> f64 {
        let linear = |channel: f64| match channel / 255.0 {
            low if low <= 0.040_45 => low / 12.92,
            high => ((high + 0.055) / 1.055).powf(2.4),
        };
        0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
    }

    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_has_the_contrast_of_wcag_aa_in_both_themes() {
        let style = text(include_bytes!("web/console.css"));
        let (light, dark) = (theme(style, ":root {"), theme(style, ":root[data-theme=\"dark\"] {"));
        let system = theme(style, ":root:not([data-theme=\"light\"]) {");
        assert_eq!(system, dark, "a dark system and the dark theme look the same");
        let grounds = ["ground", "panel", "calm-ground"];
        let texts = ["text", "muted", "accent", "good", "bad", "warn"];
        let mut pairs: Vec<(&str, &str, f64)> = Vec::new();
        for ground in grounds {
            pairs.extend(texts.map(|text| (text, ground, 4.5)));
        }
        for tone in [("good", "good-ground"), ("bad", "bad-ground"), ("warn", "warn-ground")] {
            pairs.extend([(tone.0, tone.1, 4.5), ("text", tone.1, 4.5), ("muted", tone.1, 4.5)]);
        }
        pairs.extend([("on-accent", "accent", 4.5), ("panel", "text", 4.5)]);
        // What is no text, 1.4.11: bars, borders of fields, the focus.
        pairs.extend([
            ("received", "panel", 3.0),
            ("good", "panel", 3.0),
            ("muted", "panel", 3.0),
            ("focus", "ground", 3.0),
        ]);
        for (name, theme) in [("light", &light), ("dark", &dark)] {
            assert!(theme.len() > 15, "{theme:?}");
            for (over, under, least) in &pairs {
                let found = contrast(theme[*over], theme[*under]);
                assert!(found >= *least, "{name}: {over} on {under} has {found:.2}, not {least}");
            }
        }
    }
}
