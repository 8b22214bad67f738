//! Code lists: units and transport modes are built in, the rest comes from tables the user supplies.
//!
//! A table is text with one code per line, the code before the first comma; what follows is for people.

use std::collections::HashSet;

/// The lists that a user may supply, by file name without extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum List {
    /// `unit`: 计量单位; replaces the built-in list.
    Unit,
    /// `trafmode`: 运输方式; replaces the built-in list.
    TrafMode,
    /// `country`: 国家（地区）.
    Country,
    /// `currency`: 货币.
    Currency,
    /// `customs`: 关区.
    Customs,
    /// `port`: 港口.
    Port,
    /// `hs`: 商品编码.
    Goods,
}

impl List {
    /// Every list.
    pub const ALL: [List; 7] =
        [List::Unit, List::TrafMode, List::Country, List::Currency, List::Customs, List::Port, List::Goods];

    /// File name without extension.
    pub fn name(self) -> &'static str {
        match self {
            List::Unit => "unit",
            List::TrafMode => "trafmode",
            List::Country => "country",
            List::Currency => "currency",
            List::Customs => "customs",
            List::Port => "port",
            List::Goods => "hs",
        }
    }

    fn place(self) -> usize {
        List::ALL.iter().position(|list| *list == self).unwrap_or(0)
    }
}

/// The lists in use.
#[derive(Debug, Clone)]
pub struct CodeTables {
    lists: [Option<HashSet<String>>; 7],
    /// The first four digits of every code of goods.
    headings: HashSet<String>,
}

impl Default for CodeTables {
    /// The built-in lists.
    fn default() -> CodeTables {
        let mut tables = CodeTables { lists: [const { None }; 7], headings: HashSet::new() };
        tables.load(List::Unit, include_str!("../codes/unit.csv"));
        tables.load(List::TrafMode, include_str!("../codes/trafmode.csv"));
        tables
    }
}

impl CodeTables {
    /// Takes a list from text; how many codes it has. One without codes is not taken.
    pub fn load(&mut self, list: List, text: &str) -> usize {
        let text = text.trim_start_matches('\u{FEFF}');
        let code = |line: &str| {
            let code = line.split([',', ';', '\t']).next().unwrap_or_default();
            code.trim().trim_matches('"').trim().to_owned()
        };
        let is_code =
            |code: &String| !code.is_empty() && code != "code" && code.bytes().all(|b| b.is_ascii_alphanumeric());
        let codes: HashSet<String> = text.lines().map(code).filter(is_code).collect();
        let count = codes.len();
        if list == List::Goods {
            self.headings = codes.iter().filter_map(|code| code.get(..4)).map(str::to_owned).collect();
        }
        if let Some(place) = self.lists.get_mut(list.place()).filter(|_| count > 0) {
            *place = Some(codes);
        }
        count
    }

    /// Whether the list has the code; `None` when there is no list.
    pub fn has(&self, list: List, code: &str) -> Option<bool> {
        self.lists.get(list.place())?.as_ref().map(|codes| codes.contains(code))
    }

    /// The lists there are, and their sizes.
    pub fn loaded(&self) -> Vec<(List, usize)> {
        let size = |list: List| Some((list, self.lists.get(list.place())?.as_ref()?.len()));
        List::ALL.into_iter().filter_map(size).collect()
    }

    /// Whether the goods list has a code that begins with this heading; `None` when there is no list.
    pub(super) fn has_heading(&self, heading: &str) -> Option<bool> {
        self.lists.get(List::Goods.place())?.as_ref().map(|_| self.headings.contains(heading))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_transport_modes_are_built_in_and_the_rest_is_loaded() {
        let mut tables = CodeTables::default();
        assert_eq!((tables.has(List::Unit, "035"), tables.has(List::Unit, "999")), (Some(true), Some(false)));
        assert_eq!((tables.has(List::TrafMode, "5"), tables.has(List::Country, "142")), (Some(true), None));
        assert_eq!(tables.load(List::Country, "\u{FEFF}code,name\n142,中国\n\"502\",美国\n\n"), 2);
        assert_eq!((tables.has(List::Country, "502"), tables.has(List::Country, "999")), (Some(true), Some(false)));
        assert_eq!(tables.load(List::Customs, "code,name\n"), 0);
        assert_eq!(tables.has(List::Customs, "0100"), None);
        assert_eq!(tables.loaded(), [(List::Unit, 122), (List::TrafMode, 18), (List::Country, 2)]);
    }
}
