//! Tables into values.

use super::model::{Attribute, Content, Format, Given, Message, Must, Node, Notes, Ns, Personal, Spec};
use super::value::Type;

/// How deep tables may refer to tables.
const MAX_REFERENCES: u32 = 4;

/// Reads the tables of an edition; its messages are those whose first row is the root.
///
/// # Errors
/// The table, the line and what is wrong with it.
pub(super) fn edition(tables: &[(&str, &str)]) -> Result<Vec<Message>, String> {
    let tables = tables.iter().map(|(name, text)| table(name, text)).collect::<Result<Vec<_>, _>>()?;
    let roots = tables.iter().filter(|table| table.rows.first().is_some_and(|row| row.path == "."));
    roots.map(|table| message(table, &tables)).collect()
}

/// One table as text.
struct Table<'t> {
    name: &'t str,
    namespace: Ns,
    rows: Vec<Row>,
}

/// One line.
#[derive(Debug, Clone)]
struct Row {
    line: usize,
    path: String,
    occurs: (u32, u32),
    kind: String,
    given: Given,
    notes: Notes,
}

const HEADINGS: [&str; 9] = ["element", "occurs", "type", "given", "format", "must", "spec", "personal", "name_zh"];

fn table<'t>(name: &'t str, text: &str) -> Result<Table<'t>, String> {
    let mut namespace = None;
    let (mut rows, mut headed) = (Vec::new(), false);
    for (line, text) in (1usize..).zip(text.lines()) {
        let wrong = |what: String| format!("{name}.csv line {line}: {what}");
        if let Some(comment) = text.strip_prefix('#') {
            if let Some(given) = comment.trim().strip_prefix("namespace ") {
                namespace = Some(ns(given).ok_or_else(|| wrong(format!("unknown namespace {given}")))?);
            }
            continue;
        }
        let cells = cells(text);
        if !headed {
            headed = cells == HEADINGS;
            if !headed {
                return Err(wrong(format!("the headings must be {}", HEADINGS.join(","))));
            }
            continue;
        }
        rows.push(row(line, &cells).map_err(wrong)?);
    }
    let namespace = namespace.ok_or_else(|| format!("{name}.csv: no `# namespace` line"))?;
    Ok(Table { name, namespace, rows })
}

/// The cells of one line; quotes enclose a cell with commas.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    cells.push(cell);
    cells
}

fn ns(name: &str) -> Option<Ns> {
    match name {
        "ceb" => Some(Ns::Ceb),
        "dxp" => Some(Ns::Dxp),
        "ds" => Some(Ns::Dsig),
        _ => None,
    }
}

fn row(line: usize, cells: &[String]) -> Result<Row, String> {
    let [path, occurs, kind, given, format, must, spec, personal, name_zh] = cells else {
        return Err(format!("{} cells instead of {}", cells.len(), HEADINGS.len()));
    };
    if path.is_empty() || name_zh.is_empty() && !path.contains('@') {
        return Err("a row without element or name".to_owned());
    }
    let notes = Notes {
        format: read_format(format)?,
        must: match must.as_str() {
            "" => Must::Unsaid,
            "Y" => Must::Yes,
            "N" => Must::No,
            "C" => Must::Conditional,
            other => return Err(format!("must is Y, N or C, not {other}")),
        },
        spec: read_spec(spec)?,
        personal: match personal.as_str() {
            "" => None,
            "name" => Some(Personal::Name),
            "number" => Some(Personal::Number),
            "phone" => Some(Personal::Phone),
            "address" => Some(Personal::Address),
            "account" => Some(Personal::Account),
            other => return Err(format!("unknown kind of personal data {other}")),
        },
        name_zh: name_zh.clone(),
    };
    let given = match given.split_once(' ') {
        None if given.is_empty() => Given::Nothing,
        Some(("default", value)) => Given::Default(value.to_owned()),
        Some(("fixed", value)) => Given::Fixed(value.to_owned()),
        _ => return Err(format!("given is `default …` or `fixed …`, not {given}")),
    };
    let occurs = range(occurs).ok_or_else(|| format!("occurs {occurs}"))?;
    Ok(Row { line, path: path.clone(), occurs, kind: kind.clone(), given, notes })
}

/// `1`, `0..1`, `1..n`.
fn range(text: &str) -> Option<(u32, u32)> {
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let max = if max == "n" { u32::MAX } else { max.parse().ok()? };
    let min = min.parse().ok()?;
    (min <= max && max > 0).then_some((min, max))
}

fn read_spec(text: &str) -> Result<Spec, String> {
    let number = |digits: &str| digits.parse::<u32>().map_err(|_| format!("spec {text}"));
    match text {
        "" => Ok(Spec::Same),
        "absent" => Ok(Spec::Absent),
        _ => {
            if let Some(digits) = text.strip_prefix('N') {
                return number(digits).map(Spec::Digits);
            }
            let length = text.strip_prefix('C').ok_or_else(|| format!("spec {text}"))?;
            match length.strip_prefix("..") {
                Some(max) => number(max).map(|max| Spec::Characters(0, max)),
                None => number(length).map(|exact| Spec::Characters(exact, exact)),
            }
        }
    }
}

fn read_format(text: &str) -> Result<Format, String> {
    Ok(match text {
        "" => Format::Free,
        "guid" => Format::Guid,
        "time14" => Format::Time14,
        "time17" => Format::Time17,
        "date8" => Format::Date8,
        "identity" => Format::Identity,
        "customs" => Format::Customs,
        "unit" => Format::Unit,
        "country" => Format::Country,
        "currency" => Format::Currency,
        "trafMode" => Format::TrafMode,
        "port" => Format::Port,
        "district" => Format::District,
        "gcode" => Format::GoodsCode,
        "barCode" => Format::BarCode,
        "gnum" => Format::Gnum,
        "positive" => Format::Positive,
        "amount" => Format::Amount,
        "invtNo-i" => Format::ImportList,
        "invtNo-e" => Format::ExportList,
        "preNo" => Format::PreNo,
        "status" => Format::Status,
        "enterprise" => Format::Enterprise(None),
        _ => match text.strip_prefix("enterprise|") {
            Some(word) => Format::Enterprise(Some(word.to_owned())),
            None if text.contains(['=', '|']) => {
                let value = |part: &str| {
                    let (value, meaning) = part.split_once('=').unwrap_or((part, ""));
                    (value.to_owned(), meaning.to_owned())
                };
                Format::OneOf(text.split('|').map(value).collect())
            }
            None => return Err(format!("unknown format {text}")),
        },
    })
}

fn read_type(text: &str) -> Result<Type, String> {
    let bound = |digits: &str| {
        if digits.is_empty() { Ok(u32::MAX) } else { digits.parse().map_err(|_| format!("unknown type {text}")) }
    };
    Ok(match text {
        "dateTime" => Type::DateTime,
        "date" => Type::Date,
        "base64" => Type::Base64,
        "uri" => Type::Uri,
        "id" => Type::Id,
        "integer" => Type::Integer,
        _ => {
            if let Some(digits) = text.strip_prefix("int") {
                return Ok(Type::Int { digits: bound(digits)? });
            }
            if let Some((digits, fraction)) = text.strip_prefix('N').and_then(|rest| rest.split_once(',')) {
                return Ok(Type::Decimal { digits: bound(digits)?, fraction: bound(fraction)? });
            }
            let collapse = text.starts_with('T');
            let length = text.strip_prefix(['C', 'T']).ok_or_else(|| format!("unknown type {text}"))?;
            let (min, max) = match length {
                "" => (0, u32::MAX),
                _ => range(length).ok_or_else(|| format!("unknown type {text}"))?,
            };
            Type::Text { min, max, collapse }
        }
    })
}

fn read_content(row: &Row) -> Result<Content, String> {
    let kind = row.kind.as_str();
    let choice = |text: &str, mixed| {
        let (min, max) = range(text).ok_or_else(|| format!("unknown type {kind}"))?;
        Ok(Content::Choice { min, max, mixed })
    };
    match kind {
        "group" => Ok(Content::Sequence),
        "mixed" => Ok(Content::Mixed),
        "any" => Ok(Content::Any),
        "anything" | "other" => Ok(Content::Anything),
        _ => {
            if let Some(bounds) = kind.strip_prefix("mixed choice ") {
                choice(bounds, true)
            } else if let Some(bounds) = kind.strip_prefix("choice ") {
                choice(bounds, false)
            } else {
                Ok(Content::Value(read_type(kind)?, row.given.clone()))
            }
        }
    }
}

fn message(table: &Table<'_>, tables: &[Table<'_>]) -> Result<Message, String> {
    let mut builder = Builder { tables, nodes: Vec::new() };
    builder.add(table, "", None, table.name, 0)?;
    Ok(Message { nodes: builder.nodes })
}

struct Builder<'t> {
    tables: &'t [Table<'t>],
    nodes: Vec<Node>,
}

impl Builder<'_> {
    /// Adds the rows of `table` below the row `from` (`""` for the root, whose row is `.`).
    fn add(
        &mut self,
        table: &Table<'_>,
        from: &str,
        place: Option<&Row>,
        name: &str,
        depth: u32,
    ) -> Result<usize, String> {
        let wrong = |row: &Row, what: &str| format!("{}.csv line {}: {what}", table.name, row.line);
        let own = if from.is_empty() { "." } else { from };
        let missing = || format!("{}.csv: no row {own}", table.name);
        let row = table.rows.iter().find(|row| row.path == own).ok_or_else(missing)?;
        let placed = place.unwrap_or(row);
        let id = self.nodes.len();
        self.nodes.push(Node {
            name: name.to_owned(),
            namespace: table.namespace,
            min: placed.occurs.0,
            max: placed.occurs.1,
            content: read_content(row).map_err(|what| wrong(row, &what))?,
            attributes: Vec::new(),
            children: Vec::new(),
            notes: Notes { name_zh: placed.notes.name_zh.clone(), ..row.notes.clone() },
        });
        for child in &table.rows {
            let Some(name) = below(&child.path, from) else { continue };
            if let Some(name) = name.strip_prefix('@') {
                let attribute = attribute(name, child).map_err(|what| wrong(child, &what))?;
                self.nodes.get_mut(id).ok_or_else(missing)?.attributes.push(attribute);
                continue;
            }
            let local = name.rsplit(':').next().unwrap_or(name);
            let node = match child.kind.strip_prefix('=') {
                None => self.add(table, &child.path, None, local, depth)?,
                Some(reference) => {
                    if depth >= MAX_REFERENCES {
                        return Err(wrong(child, "references go round in a circle"));
                    }
                    self.refer(reference, child, local, depth).map_err(|what| wrong(child, &what))?
                }
            };
            self.nodes.get_mut(id).ok_or_else(missing)?.children.push(node);
        }
        Ok(id)
    }

    /// Adds what `TABLE.NODE` describes, in the place of `row`.
    fn refer(&mut self, reference: &str, row: &Row, local: &str, depth: u32) -> Result<usize, String> {
        let (name, node) = reference.split_once('.').ok_or_else(|| format!("reference {reference}"))?;
        let tables = self.tables;
        let table = tables.iter().find(|table| table.name == name).ok_or_else(|| format!("no table {name}"))?;
        let from = if name == node { "" } else { node };
        self.add(table, from, Some(row), local, depth.saturating_add(1))
    }
}

/// The last part of `path` when it is a child of `parent`.
fn below<'p>(path: &'p str, parent: &str) -> Option<&'p str> {
    let rest = match parent {
        "" if path == "." => return None,
        "" => path,
        _ => path.strip_prefix(parent)?.strip_prefix('/')?,
    };
    (!rest.contains('/')).then_some(rest)
}

fn attribute(name: &str, row: &Row) -> Result<Attribute, String> {
    let fixed = match &row.given {
        Given::Nothing => None,
        Given::Fixed(value) => Some(value.clone()),
        Given::Default(_) => return Err("an attribute has no default".to_owned()),
    };
    Ok(Attribute {
        name: name.to_owned(),
        required: row.occurs.0 == 1,
        kind: read_type(&row.kind)?,
        fixed,
        notes: row.notes.clone(),
    })
}
