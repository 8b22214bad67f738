//! What a table says, as values.

use super::value::Type;

/// Index of a node in its message.
pub type NodeId = usize;

/// The namespaces of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ns {
    /// Business messages.
    Ceb,
    /// Transport messages.
    Dxp,
    /// XML signatures.
    Dsig,
}

/// One message: its root and everything below.
#[derive(Debug)]
pub struct Message {
    pub(super) nodes: Vec<Node>,
}

impl Message {
    /// Local name of the root.
    pub fn name(&self) -> &str {
        self.root().map_or("", |root| root.name.as_str())
    }

    /// Namespace of the root.
    pub fn namespace(&self) -> Ns {
        self.root().map_or(Ns::Ceb, |root| root.namespace)
    }

    /// The root.
    pub fn root(&self) -> Option<&Node> {
        self.nodes.first()
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// Every node, parents before their children.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// The node at the end of a path of local names below the root, such as `Order/OrderHead/orderNo`.
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split('/').try_fold(self.root()?, |node, name| {
            let mut children = node.children.iter().filter_map(|id| self.nodes.get(*id));
            children.find(|child| child.name == name)
        })
    }
}

/// One element.
#[derive(Debug, Clone)]
pub struct Node {
    /// Local name; `*` for any element of another namespace.
    pub name: String,
    /// Namespace.
    pub namespace: Ns,
    /// Fewest in its place.
    pub min: u32,
    /// Most in its place; `u32::MAX` for no bound.
    pub max: u32,
    /// What it holds.
    pub content: Content,
    /// Attributes it may have.
    pub attributes: Vec<Attribute>,
    /// Child elements, in order.
    pub children: Vec<NodeId>,
    /// What the specification's text adds about its value.
    pub notes: Notes,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Its children, in the order of the table.
    Sequence,
    /// Its children in any order, so many of them together; text beside them when `mixed`.
    Choice {
        /// Fewest children.
        min: u32,
        /// Most children; `u32::MAX` for no bound.
        max: u32,
        /// Text may stand between them.
        mixed: bool,
    },
    /// Text that is not looked at.
    Mixed,
    /// At most one element, of any kind, whose content is not looked at.
    Any,
    /// Whatever it likes.
    Anything,
    /// A value.
    Value(Type, Given),
}

/// What the schema supplies for an empty value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Given {
    /// Nothing.
    #[default]
    Nothing,
    /// This value, when the element is empty.
    Default(String),
    /// The same, and no other value is allowed.
    Fixed(String),
}

/// One attribute.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Its name; attributes here have no namespace.
    pub name: String,
    /// It must be there.
    pub required: bool,
    /// Form of its value.
    pub kind: Type,
    /// Its only value, when there is one.
    pub fixed: Option<String>,
    /// What the specification's text adds.
    pub notes: Notes,
}

/// The columns that are not the schema's.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// Form or list of values.
    pub format: Format,
    /// 必填.
    pub must: Must,
    /// Where the text differs from the schema.
    pub spec: Spec,
    /// The value is personal data.
    pub personal: Option<Personal>,
    /// Name in the specification.
    pub name_zh: String,
}

/// 必填 in the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Must {
    /// Not said.
    #[default]
    Unsaid,
    /// 是.
    Yes,
    /// 否.
    No,
    /// Under a condition, which a rule knows.
    Conditional,
}

/// Where the text of the specification differs from the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spec {
    /// It does not.
    #[default]
    Same,
    /// The text does not have this field.
    Absent,
    /// So many characters.
    Characters(u32, u32),
    /// A number of at most so many digits.
    Digits(u32),
}

/// Kinds of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personal {
    /// A person's name.
    Name,
    /// Number of an identity document.
    Number,
    /// Telephone.
    Phone,
    /// Address.
    Address,
    /// Account at a platform.
    Account,
}

/// The form of a value beyond its type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Format {
    /// Nothing is known.
    #[default]
    Free,
    /// One of these values, each with its meaning.
    OneOf(Vec<(String, String)>),
    /// `guid`: 36 characters, an upper-case UUID.
    Guid,
    /// `time14`: `YYYYMMDDhhmmss`.
    Time14,
    /// `time17`: `YYYYMMDDhhmmssSSS`.
    Time17,
    /// `date8`: `YYYYMMDD`.
    Date8,
    /// `enterprise`, or `enterprise|无`: customs register number or unified social credit code, or this word instead.
    Enterprise(Option<String>),
    /// `identity`: 居民身份证 number.
    Identity,
    /// `customs`: 关区代码, four digits.
    Customs,
    /// `unit`: 计量单位, three digits.
    Unit,
    /// `country`: 国家（地区）, three digits.
    Country,
    /// `currency`: 币制, three digits.
    Currency,
    /// `trafMode`: 运输方式, one character.
    TrafMode,
    /// `port`: 指运港, three or four characters.
    Port,
    /// `district`: 行政区划, six digits.
    District,
    /// `gcode`: 商品编码, ten digits.
    GoodsCode,
    /// `barCode`: a bar code, or `无`.
    BarCode,
    /// `gnum`: from 1, consecutive within a document.
    Gnum,
    /// `positive`: at least 1.
    Positive,
    /// `amount`: not negative.
    Amount,
    /// `invtNo-i`: number of an import list.
    ImportList,
    /// `invtNo-e`: number of an export list.
    ExportList,
    /// `preNo`: `B`, day, nine digits.
    PreNo,
    /// `status`: a whole number.
    Status,
}
