//! Writing XML: escaped text between tags of one prefix, nothing more.

/// An XML document under construction. Comments and processing instructions are never written.
pub(super) struct Markup {
    out: String,
    prefix: &'static str,
}

impl Markup {
    /// Starts a document whose elements all carry `prefix` (`"ceb:"`, or `""` for a default namespace).
    pub(super) fn new(prefix: &'static str) -> Markup {
        Markup { out: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"), prefix }
    }

    /// Goes on with a document begun elsewhere.
    pub(super) fn tail(prefix: &'static str) -> Markup {
        Markup { out: String::new(), prefix }
    }

    fn begin(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.out.push('<');
        self.out.push_str(self.prefix);
        self.out.push_str(name);
        for (key, value) in attributes {
            self.out.push(' ');
            self.out.push_str(key);
            self.out.push_str("=\"");
            push_escaped(&mut self.out, value);
            self.out.push('"');
        }
        self.out.push('>');
    }

    /// Opens an element that holds others.
    pub(super) fn open(&mut self, name: &str) {
        self.start(name);
        self.out.push('\n');
    }

    /// Opens an element that holds others, with these attributes.
    pub(super) fn open_with(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.begin(name, attributes);
        self.out.push('\n');
    }

    /// An element that holds text, with these attributes.
    pub(super) fn attributed(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) {
        self.begin(name, attributes);
        push_escaped(&mut self.out, text);
        self.finish(name);
    }

    /// Closes an element that holds others.
    pub(super) fn close(&mut self, name: &str) {
        self.finish(name);
    }

    /// An element that holds text.
    pub(super) fn leaf(&mut self, name: &str, text: &str) {
        self.start(name);
        push_escaped(&mut self.out, text);
        self.finish(name);
    }

    /// An element that holds text as CDATA.
    pub(super) fn cdata(&mut self, name: &str, text: &str) {
        self.start(name);
        self.out.push_str("<![CDATA[");
        let legal: String = text.chars().map(legal).collect();
        self.out.push_str(&legal.replace("]]>", "]]]]><![CDATA[>"));
        self.out.push_str("]]>");
        self.finish(name);
    }

    /// The bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out.into_bytes()
    }

    /// The text so far, for writers that go on with something else.
    pub(super) fn into_string(self) -> String {
        self.out
    }

    fn start(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(self.prefix);
        self.out.push_str(name);
        self.out.push('>');
    }

    fn finish(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(self.prefix);
        self.out.push_str(name);
        self.out.push_str(">\n");
    }
}

/// Escapes for text and for attributes in double quotes; a carriage return would not survive reading unescaped.
fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            other => out.push(legal(other)),
        }
    }
}

/// Characters that XML 1.0 cannot hold become U+FFFD.
fn legal(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => c,
        '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_values_stays_text() {
        let mut markup = Markup::new("");
        markup.open_with("a", &[("b", "\"<")]);
        markup.leaf("c", "<&>\r\u{1}");
        markup.cdata("d", "x]]>y");
        markup.close("a");
        let text = markup.into_string();
        assert!(text.contains("b=\"&quot;&lt;\"") && text.contains("<c>&lt;&amp;&gt;&#13;\u{FFFD}</c>"));
        assert!(text.contains("<![CDATA[x]]]]><![CDATA[>y]]>"));
    }
}
