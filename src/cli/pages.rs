//! Lists of the API. The gateway looks at a bounded number of entries for one answer, so a page may be short, even empty,
//! and still not be the last one.

use serde::de::DeserializeOwned;

use super::api_client::{ApiClient, encoded};
use super::failure::Failure;
use crate::console::declarations::DeclarationList;
use crate::console::wire::MessageList;
use crate::console::wire::people::TrailList;

/// A page of a list, or several of them as one.
pub(super) trait Page: DeserializeOwned {
    /// Entries in it.
    fn length(&self) -> usize;
    /// Where the list goes on; none at its end.
    fn next(&self) -> Option<String>;
    /// Adds the page that follows.
    fn append(&mut self, following: Self);
}

/// Reads the list at `path`, narrowed by what is given of `parameters`, up to `limit` entries or its end. What it returns
/// goes on only behind its last entry.
///
/// # Errors
/// That of any page.
pub(super) async fn read<P: Page>(
    api: &ApiClient,
    path: &str,
    parameters: &[(&str, Option<String>)],
    limit: u16,
    before: Option<String>,
) -> Result<P, Failure> {
    let limit = usize::from(limit);
    let mut list: P = api.get(&target(path, parameters, limit, before)).await?;
    while let (Some(next), left @ 1..) = (list.next(), limit.saturating_sub(list.length())) {
        list.append(api.get(&target(path, parameters, left, Some(next))).await?);
    }
    Ok(list)
}

fn target(path: &str, parameters: &[(&str, Option<String>)], limit: usize, before: Option<String>) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some((*name, value.clone()?)));
    let place = [("limit", Some(limit.to_string())), ("before", before)];
    let place = place.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let query: Vec<String> = given.chain(place).map(|(name, value)| format!("{name}={}", encoded(&value))).collect();
    format!("{path}?{}", query.join("&"))
}

impl Page for MessageList {
    fn length(&self) -> usize {
        self.messages.len()
    }

    fn next(&self) -> Option<String> {
        self.next.map(|next| next.to_string())
    }

    fn append(&mut self, following: MessageList) {
        self.messages.extend(following.messages);
        self.next = following.next;
    }
}

impl Page for DeclarationList {
    fn length(&self) -> usize {
        self.declarations.len()
    }

    fn next(&self) -> Option<String> {
        self.next.clone()
    }

    fn append(&mut self, following: DeclarationList) {
        self.declarations.extend(following.declarations);
        self.next = following.next;
    }
}

impl Page for TrailList {
    fn length(&self) -> usize {
        self.entries.len()
    }

    fn next(&self) -> Option<String> {
        self.next.map(|next| next.to_string())
    }

    fn append(&mut self, following: TrailList) {
        self.entries.extend(following.entries);
        self.next = following.next;
    }
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
