//! Schemas of values that are not defined beside the wire types.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::declaration::standing::Standing;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).pattern(Some("^[0-9a-f]{32}$"));
        text.description(Some("A time-ordered identifier, 32 hex digits.")).into()
    }
}

impl ToSchema for Id {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Id")
    }
}

impl PartialSchema for Bilingual {
    fn schema() -> RefOr<Schema> {
        let language = || ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
        let text = ObjectBuilder::new().property("zh", language()).property("en", language());
        text.required("zh").required("en").description(Some("A text for people in both languages.")).into()
    }
}

impl ToSchema for Bilingual {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Bilingual")
    }
}

impl PartialSchema for Standing {
    fn schema() -> RefOr<Schema> {
        let names = Standing::ALL.map(Standing::name);
        let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(names));
        text.description(Some("Where a document stands with customs.")).into()
    }
}

impl ToSchema for Standing {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Standing")
    }
}

/// Any JSON value.
pub(super) fn anything() -> Schema {
    Schema::Object(ObjectBuilder::new().schema_type(SchemaType::AnyValue).build())
}
