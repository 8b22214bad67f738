//! The structure of every message of an edition of the specification, as data.
//!
//! One folder per edition (`202205`), one table per message, plus the nodes they share (`common-import`,
//! `common-export`, `xmldsig`). A table is a CSV file that a customs specialist reads beside the specification:
//!
//! | column | what |
//! |---|---|
//! | `element` | path below the root; `.` the root itself, `…/@name` an attribute, `…/*` any element of another namespace |
//! | `occurs` | `1`, `0..1`, `1..100`, `0..n` |
//! | `type` | `group` (children in this order), `C36` `C1..60` `C0..n` (characters), `T…` (the same, blanks collapsed), `N19,5` (digits, of these fraction), `int` `int9` (digits), `integer` `dateTime` `date` `base64` `uri` `id`, `choice 1..n` `mixed choice 0..n` (children in any order), `mixed` (text, not looked at), `any` (at most one element of any kind), `anything`, `other`, `=TABLE.NODE` (as there) |
//! | `given` | `default 1`, `fixed 142`: what the schema supplies for, or demands of, the value |
//! | `format` | a closed list `1=新增|2=变更`, or the name of a [`Format`]; what the text of the specification adds |
//! | `must` | the specification's 必填: `Y`, `N`, `C` (under a condition); `occurs` is the schema's |
//! | `spec` | the length in the specification's text where it differs from the schema (`C18`, `N4`), `absent` where it has none |
//! | `personal` | `name`, `number`, `phone`, `address`, `account`: shown masked |
//! | `name_zh` | name in the specification |
//!
//! `occurs`, `type` and `given` are what the official XSD says and make rule R03; the rest is for the other rules.

use std::sync::LazyLock;

pub mod model;
mod read;
pub mod specimen;
pub mod value;

#[cfg(test)]
mod tests;

pub use model::{Attribute, Content, Format, Given, Message, Must, Node, NodeId, Ns, Personal, Spec};

/// Name of the edition in force.
pub const CURRENT: &str = "202205";

/// Every table of one edition.
#[derive(Debug)]
pub struct Edition {
    name: &'static str,
    messages: Vec<Message>,
}

impl Edition {
    /// Its name, such as `202205`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The message with this root.
    pub fn find(&self, namespace: Ns, root: &str) -> Option<&Message> {
        self.messages.iter().find(|message| message.namespace() == namespace && message.name() == root)
    }

    /// Every message, by name.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter()
    }
}

/// The edition of this name.
pub fn edition(name: &str) -> Option<&'static Edition> {
    EDITIONS.iter().find(|edition| edition.name == name)
}

/// The edition in force.
pub fn current() -> &'static Edition {
    static NONE: Edition = Edition { name: CURRENT, messages: Vec::new() };
    edition(CURRENT).unwrap_or(&NONE)
}

/// Names of all editions, oldest first.
pub fn editions() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(name, _)| *name)
}

/// Name and tables of each edition, the tables by file name without extension.
const TABLES: &[(&str, &[(&str, &str)])] = include!(concat!(env!("OUT_DIR"), "/schema_tables.rs"));

/// The tables are part of the program; `every_table_is_read` reads each of them, so an unreadable one never ships.
static EDITIONS: LazyLock<Vec<Edition>> = LazyLock::new(|| {
    let read = |(name, tables): &(&'static str, &[(&str, &str)])| {
        read::edition(tables).ok().map(|messages| Edition { name, messages })
    };
    TABLES.iter().filter_map(read).collect()
});
