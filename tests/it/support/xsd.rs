//! The tables as an XML Schema, for a validator that is not ours.

use dxgate::declaration::schema::value::Type;
use dxgate::declaration::schema::{Attribute, Content, Given, Message, Node, Ns};
use dxgate::declaration::{CEB_NS, DSIG_NS, DXP_NS};

pub fn uri(namespace: Ns) -> &'static str {
    match namespace {
        Ns::Ceb => CEB_NS,
        Ns::Dxp => DXP_NS,
        Ns::Dsig => DSIG_NS,
    }
}

/// The schema of a message, and that of the signature it refers to as `ds.xsd`.
pub fn write(message: &Message) -> (String, Option<String>) {
    let root = message.root().expect("a root");
    let signature = message.nodes().find(|node| node.namespace == Ns::Dsig && node.name == "Signature");
    (schema(message, root), signature.map(|node| schema(message, node)))
}

fn schema(message: &Message, root: &Node) -> String {
    let mut writer = Writer { message, namespace: root.namespace, named: String::new(), count: 0 };
    let body = writer.element(root, true);
    let import = if root.namespace == Ns::Dsig {
        String::new()
    } else {
        format!("<xs:import namespace=\"{DSIG_NS}\" schemaLocation=\"ds.xsd\"/>")
    };
    format!(
        "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:t=\"{0}\" xmlns:ds=\"{DSIG_NS}\" targetNamespace=\"{0}\" \
         elementFormDefault=\"qualified\">{import}{1}{body}</xs:schema>",
        uri(root.namespace),
        writer.named
    )
}

struct Writer<'m> {
    message: &'m Message,
    namespace: Ns,
    /// Types that need a name because they are extended.
    named: String,
    count: u32,
}

impl Writer<'_> {
    fn element(&mut self, node: &Node, root: bool) -> String {
        let occurs = if root { String::new() } else { occurs(node.min, node.max) };
        if node.namespace != self.namespace {
            return format!("<xs:element ref=\"ds:{}\"{occurs}/>", node.name);
        }
        if node.name == "*" {
            return "<xs:any namespace=\"##other\" processContents=\"lax\"/>".to_owned();
        }
        let given = match &node.content {
            Content::Value(_, Given::Default(value)) => format!(" default=\"{value}\""),
            Content::Value(_, Given::Fixed(value)) => format!(" fixed=\"{value}\""),
            _ => String::new(),
        };
        format!("<xs:element name=\"{}\"{occurs}{given}>{}</xs:element>", node.name, self.kind(node))
    }

    fn kind(&mut self, node: &Node) -> String {
        let attributes: String = node.attributes.iter().map(attribute).collect();
        let children = |writer: &mut Self| -> String {
            let message = writer.message;
            let children = node.children.iter().map(|id| message.node(*id).expect("a node"));
            children.map(|child| writer.element(child, false)).collect()
        };
        match &node.content {
            Content::Value(kind, _) if attributes.is_empty() => simple(*kind, ""),
            Content::Value(kind, _) => {
                self.count += 1;
                let name = format!("T{}", self.count);
                self.named.push_str(&simple(*kind, &format!(" name=\"{name}\"")));
                format!(
                    "<xs:complexType><xs:simpleContent><xs:extension base=\"t:{name}\">{attributes}</xs:extension>\
                     </xs:simpleContent></xs:complexType>"
                )
            }
            Content::Sequence => {
                let children = children(self);
                let sequence =
                    if children.is_empty() { children } else { format!("<xs:sequence>{children}</xs:sequence>") };
                format!("<xs:complexType>{sequence}{attributes}</xs:complexType>")
            }
            Content::Choice { min, max, mixed } => {
                let (occurs, children) = (occurs(*min, *max), children(self));
                let children = children.replace(" minOccurs=\"0\"", "");
                format!(
                    "<xs:complexType mixed=\"{mixed}\"><xs:choice{occurs}>{children}</xs:choice>{attributes}</xs:complexType>"
                )
            }
            Content::Mixed => format!("<xs:complexType mixed=\"true\">{attributes}</xs:complexType>"),
            Content::Any => {
                "<xs:complexType><xs:sequence><xs:any namespace=\"##any\" processContents=\"skip\" minOccurs=\"0\"/>\
                             </xs:sequence></xs:complexType>"
                    .to_owned()
            }
            Content::Anything => String::new(),
        }
    }
}

fn occurs(min: u32, max: u32) -> String {
    let max = if max == u32::MAX { "unbounded".to_owned() } else { max.to_string() };
    format!(" minOccurs=\"{min}\" maxOccurs=\"{max}\"")
}

fn attribute(attribute: &Attribute) -> String {
    let required = if attribute.required { "required" } else { "optional" };
    let fixed = attribute.fixed.as_ref().map(|value| format!(" fixed=\"{value}\"")).unwrap_or_default();
    let kind = simple(attribute.kind, "");
    format!("<xs:attribute name=\"{}\" use=\"{required}\"{fixed}>{kind}</xs:attribute>", attribute.name)
}

fn simple(kind: Type, name: &str) -> String {
    let mut facets = String::new();
    let mut facet = |name: &str, value: String| facets.push_str(&format!("<xs:{name} value=\"{value}\"/>"));
    let base = match kind {
        Type::Text { min, max, collapse } => {
            if collapse {
                facet("whiteSpace", "collapse".to_owned());
            }
            facet("minLength", min.to_string());
            if max != u32::MAX {
                facet("maxLength", max.to_string());
            }
            "string"
        }
        Type::Decimal { digits, fraction } => {
            facet("totalDigits", digits.to_string());
            facet("fractionDigits", fraction.to_string());
            "decimal"
        }
        Type::Int { digits } => {
            if digits != u32::MAX {
                facet("totalDigits", digits.to_string());
            }
            "int"
        }
        Type::Integer => "integer",
        Type::DateTime => "dateTime",
        Type::Date => "date",
        Type::Base64 => "base64Binary",
        Type::Uri => "anyURI",
        Type::Id => "ID",
    };
    format!("<xs:simpleType{name}><xs:restriction base=\"xs:{base}\">{facets}</xs:restriction></xs:simpleType>")
}
