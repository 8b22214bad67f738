//! What can be wrong with a document, in one enum, each with a stable code, a place and words for people.

use serde::{Deserialize, Serialize};

use crate::bilingual;
use crate::ground::text::{Bilingual, printable};

/// A document could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{} (line {line}, column {column})", fault.text().en)]
pub struct DeclarationError {
    /// What is wrong.
    pub fault: Fault,
    /// Line of the place, from 1; 0 when the fault has no place in a document.
    pub line: u64,
    /// Column of the place in characters, from 1; 0 as above.
    pub column: u64,
    /// Path of open elements, such as `CEB311Message/Order[2]/OrderHead`; empty outside the root.
    pub path: String,
}

impl DeclarationError {
    /// A fault that has no place in a document.
    pub fn placeless(fault: Fault) -> DeclarationError {
        DeclarationError { fault, line: 0, column: 0, path: String::new() }
    }

    /// Stable kebab-case code of the fault.
    pub fn code(&self) -> &'static str {
        self.fault.code()
    }

    /// What is wrong, where, and what to do, in both languages.
    pub fn text(&self) -> Bilingual {
        let what = self.fault.text();
        if self.line == 0 {
            return what;
        }
        let (zh, en, line, column) = (what.zh, what.en, self.line, self.column);
        bilingual!("第 {line} 行第 {column} 列：{zh}", "line {line}, column {column}: {en}")
    }
}

/// One kind of fault: first the reader's, then the document's form, then the envelope's, last the message type's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// The underlying reader or writer failed.
    Io {
        /// The system's words.
        reason: String,
    },
    /// More bytes than allowed.
    TooLarge {
        /// The bound in bytes.
        max: u64,
    },
    /// Bytes that are not text of the document's encoding.
    MalformedBytes {
        /// Encoding in use.
        encoding: String,
        /// Another encoding in which the bytes would make sense.
        looks_like: Option<String>,
    },
    /// The XML declaration names an encoding nobody knows.
    UnknownEncoding {
        /// The name given.
        label: String,
    },
    /// The byte order mark and the XML declaration disagree.
    EncodingConflict {
        /// What the declaration says.
        declared: String,
        /// What the byte order mark says.
        marked: String,
    },
    /// Not well-formed XML.
    Malformed {
        /// The rule broken.
        reason: String,
    },
    /// A document type declaration: never accepted.
    Doctype,
    /// A reference to an entity that XML does not define.
    UnknownEntity {
        /// Its name.
        name: String,
    },
    /// A prefix without namespace.
    UnboundPrefix {
        /// The prefix.
        prefix: String,
    },
    /// Elements nested too deep.
    TooDeep {
        /// The bound.
        max: usize,
    },
    /// Too many attributes on one element.
    TooManyAttributes {
        /// The bound.
        max: usize,
    },
    /// One tag, comment or text value is too long.
    ItemTooLong {
        /// The bound in bytes.
        max: usize,
    },
    /// No element at all.
    Empty,
    /// The root is not an envelope of the transport.
    NotAnEnvelope {
        /// Local name of the root.
        root: String,
        /// Its namespace.
        namespace: String,
    },
    /// An element of the envelope is missing.
    MissingElement {
        /// Its local name.
        element: String,
    },
    /// An element that does not belong there, or not in this order.
    UnexpectedElement {
        /// Its local name.
        element: String,
    },
    /// An envelope field whose length or form the schema refuses.
    BadField {
        /// Its local name.
        element: String,
        /// What is expected, such as `1..16 characters`.
        expected: String,
    },
    /// `Data` is not Base64.
    BadBase64,
    /// `Data` ends in the middle of a Base64 group.
    TruncatedBase64,
    /// The message type is not one this operation works on.
    WrongMessageType {
        /// Local name of the root.
        root: String,
    },
    /// More entries than a message may hold.
    TooManyDocuments {
        /// The bound.
        max: u32,
    },
}

impl Fault {
    /// Reading or writing failed: nothing is said about the document.
    pub fn is_ours(&self) -> bool {
        matches!(self, Fault::Io { .. })
    }

    /// Stable kebab-case code.
    pub fn code(&self) -> &'static str {
        match self {
            Fault::Io { .. } => "read-failed",
            Fault::TooLarge { .. } => "document-too-large",
            Fault::MalformedBytes { .. } => "encoding-mismatch",
            Fault::UnknownEncoding { .. } => "encoding-unknown",
            Fault::EncodingConflict { .. } => "encoding-conflict",
            Fault::Malformed { .. } => "xml-malformed",
            Fault::Doctype => "xml-doctype",
            Fault::UnknownEntity { .. } => "xml-entity-unknown",
            Fault::UnboundPrefix { .. } => "xml-prefix-unbound",
            Fault::TooDeep { .. } => "xml-too-deep",
            Fault::TooManyAttributes { .. } => "xml-too-many-attributes",
            Fault::ItemTooLong { .. } => "xml-item-too-long",
            Fault::Empty => "xml-empty",
            Fault::NotAnEnvelope { .. } => "envelope-root",
            Fault::MissingElement { .. } => "element-missing",
            Fault::UnexpectedElement { .. } => "element-unexpected",
            Fault::BadField { .. } => "envelope-field",
            Fault::BadBase64 => "envelope-base64",
            Fault::TruncatedBase64 => "envelope-base64-truncated",
            Fault::WrongMessageType { .. } => "message-type-wrong",
            Fault::TooManyDocuments { .. } => "too-many-documents",
        }
    }

    /// What is wrong and what to do, in both languages; names out of the document are made safe to print.
    pub fn text(&self) -> Bilingual {
        match self {
            Fault::Io { .. }
            | Fault::TooLarge { .. }
            | Fault::MalformedBytes { .. }
            | Fault::UnknownEncoding { .. }
            | Fault::EncodingConflict { .. } => self.bytes_text(),
            Fault::Malformed { .. }
            | Fault::Doctype
            | Fault::UnknownEntity { .. }
            | Fault::UnboundPrefix { .. }
            | Fault::TooDeep { .. }
            | Fault::TooManyAttributes { .. }
            | Fault::ItemTooLong { .. }
            | Fault::Empty => self.form_text(),
            _ => self.envelope_text(),
        }
    }

    fn bytes_text(&self) -> Bilingual {
        match self {
            Fault::TooLarge { max } => bilingual!(
                "内容超过上限 {max} 字节，请拆分报文或调整上限",
                "larger than the limit of {max} bytes; split the message or raise the limit"
            ),
            Fault::MalformedBytes { encoding, looks_like: Some(other) } => bilingual!(
                "此处字节不是 {encoding} 编码，看起来是 {other}；请在 XML 声明中写明真实编码，或转存为 UTF-8",
                "these bytes are not {encoding} but look like {other}; declare the real encoding or save the file as UTF-8"
            ),
            Fault::MalformedBytes { encoding, looks_like: None } => bilingual!(
                "此处字节不是 {encoding} 编码，请将文件转存为 UTF-8",
                "these bytes are not {encoding}; save the file as UTF-8"
            ),
            Fault::UnknownEncoding { label } => {
                let label = printable(label);
                bilingual!(
                    "XML 声明中的编码“{label}”无法识别，请使用 UTF-8",
                    "the XML declaration names an unknown encoding {label:?}; use UTF-8"
                )
            }
            Fault::EncodingConflict { declared, marked } => bilingual!(
                "XML 声明的编码 {declared} 与文件开头的 BOM（{marked}）不一致，请改为 UTF-8",
                "the XML declaration says {declared} but the byte order mark says {marked}; use UTF-8 for both"
            ),
            Fault::Io { reason } => bilingual!("读写失败：{reason}", "reading or writing failed: {reason}"),
            _ => bilingual!("文件无法读取", "the file cannot be read"),
        }
    }

    fn form_text(&self) -> Bilingual {
        match self {
            Fault::Malformed { reason } => {
                let reason = printable(reason);
                bilingual!("XML 格式不正确（{reason}），请修正此处", "not well-formed XML ({reason}); correct it here")
            }
            Fault::Doctype => bilingual!(
                "不允许使用 DOCTYPE（文档类型声明），请删除",
                "a document type declaration (DOCTYPE) is not accepted; remove it"
            ),
            Fault::UnknownEntity { name } => {
                let name = printable(name);
                bilingual!(
                    "实体引用 &{name}; 未定义，只允许 &amp; &lt; &gt; &apos; &quot; 和字符引用",
                    "entity &{name}; is not defined; only &amp; &lt; &gt; &apos; &quot; and character references are allowed"
                )
            }
            Fault::UnboundPrefix { prefix } => {
                let prefix = printable(prefix);
                bilingual!(
                    "前缀“{prefix}”没有声明命名空间，请补充 xmlns:{prefix}",
                    "prefix {prefix:?} has no namespace; declare xmlns:{prefix}"
                )
            }
            Fault::TooDeep { max } => {
                bilingual!("元素嵌套超过 {max} 层", "elements are nested deeper than {max} levels")
            }
            Fault::TooManyAttributes { max } => {
                bilingual!("一个元素的属性超过 {max} 个", "an element has more than {max} attributes")
            }
            Fault::ItemTooLong { max } => {
                bilingual!("单个标签、注释或文本超过 {max} 字节", "one tag, comment or text is longer than {max} bytes")
            }
            _ => bilingual!("文件中没有 XML 元素", "the file holds no XML element"),
        }
    }

    fn envelope_text(&self) -> Bilingual {
        match self {
            Fault::NotAnEnvelope { root, namespace } => {
                let (root, namespace) = (printable(root), printable(namespace));
                bilingual!(
                    "根元素 {root}（命名空间“{namespace}”）不是传输报文 DxpMsg 或 DxpRep",
                    "root {root} in namespace {namespace:?} is not a transport message (DxpMsg or DxpRep)"
                )
            }
            Fault::MissingElement { element } => {
                bilingual!("缺少元素 {element}，请补充", "element {element} is missing; add it")
            }
            Fault::UnexpectedElement { element } => {
                let element = printable(element);
                bilingual!(
                    "元素 {element} 不应出现在此处，请按规范的顺序填写",
                    "element {element} does not belong here; follow the order of the specification"
                )
            }
            Fault::BadField { element, expected } => bilingual!(
                "{element} 的值不符合要求（{expected}），请修正",
                "the value of {element} is not as required ({expected}); correct it"
            ),
            Fault::BadBase64 => bilingual!(
                "Data 中有不属于 Base64 的字符，请重新编码",
                "Data holds a character that is not Base64; encode it again"
            ),
            Fault::TruncatedBase64 => bilingual!(
                "Data 的 Base64 内容不完整，文件可能被截断，请重新生成",
                "the Base64 in Data is incomplete, the file may have been cut; produce it again"
            ),
            Fault::WrongMessageType { root } => {
                let root = printable(root);
                bilingual!(
                    "根元素 {root} 不是此处能处理的报文类型",
                    "root {root} is not a message type that can be handled here"
                )
            }
            Fault::TooManyDocuments { max } => bilingual!(
                "一份报文中的单证超过 {max} 份，请拆分",
                "more than {max} documents in one message; split it"
            ),
            _ => bilingual!("报文有误", "the message is faulty"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_and_where_in_both_languages() {
        let error = DeclarationError { fault: Fault::Doctype, line: 2, column: 7, path: String::new() };
        let text = error.text();
        assert!(text.zh.contains("第 2 行第 7 列") && text.en.contains("line 2, column 7"));
        assert_eq!(error.code(), "xml-doctype");
        assert_eq!(DeclarationError::placeless(Fault::Empty).text(), Fault::Empty.text());
    }

    #[test]
    fn names_from_the_document_are_printed_safely() {
        let fault = Fault::UnboundPrefix { prefix: "\u{1b}[2J".into() };
        assert!(!fault.text().en.contains('\u{1b}'));
    }
}
