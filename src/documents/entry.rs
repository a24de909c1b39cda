//! What a document says of one resource: the fields of the API's own input, with names in place of ids and without state.
//! A new field of an input is a new field of the document.

use std::{borrow::Cow, marker::PhantomData};

use entity::member;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::{Map, Value};

use super::described::{Described, Reference};

/// One resource in a document: a valid input, in which free JSON is text.
#[derive(Clone, Debug)]
pub(crate) struct DocumentEntry<E> {
    pub(crate) fields: Map<String, Value>,
    of: PhantomData<E>,
}

impl<E: Described> DocumentEntry<E> {
    /// A text of the entry, if it has one.
    pub(crate) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }
}

impl<E: Described> Type for DocumentEntry<E> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        E::SCHEMA.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(E::SCHEMA.to_owned())
    }

    fn register(registry: &mut Registry) {
        E::Create::register(registry);
        if E::SCHEMA != E::Create::name() {
            registry.create_schema::<Self, _>(E::SCHEMA.to_owned(), schema::<E>);
        }
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::empty())
    }
}

impl<E: Described> ParseFromJSON for DocumentEntry<E> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::Object(fields)) => Ok(Self {
                fields,
                of: PhantomData,
            }),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl<E: Described> ToJSON for DocumentEntry<E> {
    fn to_json(&self) -> Option<Value> {
        Some(self.fields.clone().into())
    }
}

/// The schema of the API's input, adapted.
fn schema<E: Described>(registry: &mut Registry) -> MetaSchema {
    Vec::<DocumentEntry<member::Entity>>::register(registry);
    let mut schema = create_schema::<E>(registry);
    let properties = std::mem::take(&mut schema.properties).into_iter();
    let kept = properties.filter(|(field, _)| !E::STATE.contains(field));
    schema.properties = kept.map(by_name::<E>).chain(E::further()).collect();
    for required in &mut schema.required {
        if let Some(reference) = reference::<E>(required) {
            *required = reference.name;
        }
    }
    schema
}

fn create_schema<E: Described>(registry: &mut Registry) -> MetaSchema {
    E::Create::register(registry);
    registry.schemas[&*E::Create::name()].clone()
}

fn reference<E: Described>(field: &str) -> Option<&'static Reference> {
    let mut references = E::REFERENCES.iter();
    references.find(|reference| reference.field == field)
}

/// A property that holds names where the API's holds ids.
fn by_name<E: Described>(
    (field, schema): (&'static str, MetaSchemaRef),
) -> (&'static str, MetaSchemaRef) {
    let Some(reference) = reference::<E>(field) else {
        return (field, schema);
    };
    let name = MetaSchema {
        min_length: Some(1),
        // The name of a provider, a slash, and that of a model.
        max_length: Some(320),
        ..MetaSchema::new("string")
    };
    let MetaSchemaRef::Inline(ids) = schema else {
        return (reference.name, MetaSchemaRef::Inline(Box::new(name)));
    };
    let named = if ids.ty == "array" {
        MetaSchema {
            items: Some(Box::new(MetaSchemaRef::Inline(Box::new(name)))),
            max_items: ids.max_items,
            default: ids.default,
            ..MetaSchema::new("array")
        }
    } else {
        MetaSchema {
            nullable: ids.nullable,
            ..name
        }
    };
    let named = MetaSchema {
        description: Some(reference.description),
        ..named
    };
    (reference.name, MetaSchemaRef::Inline(Box::new(named)))
}

/// A field of the document.
#[derive(Debug)]
pub(crate) struct EntryField {
    /// The API's name.
    pub(crate) field: &'static str,
    pub(crate) reference: Option<&'static Reference>,
    /// What an absent field stands for.
    pub(crate) default: Value,
    /// Whether it is a list of objects of which each has some of several fields.
    pub(crate) lists_objects: bool,
}

/// The fields that the API's input and the document share, in the order of the input.
pub(crate) fn fields_of<E: Described>() -> Vec<EntryField> {
    let properties = create_schema::<E>(&mut Registry::new()).properties;
    let kept = properties
        .into_iter()
        .filter(|(field, _)| !E::STATE.contains(field));
    let field = |(field, schema): (&'static str, MetaSchemaRef)| {
        let inline = match &schema {
            MetaSchemaRef::Inline(schema) => Some(schema),
            MetaSchemaRef::Reference(_) => None,
        };
        let items = inline.and_then(|schema| schema.items.as_deref());
        EntryField {
            field,
            reference: reference::<E>(field),
            default: inline
                .and_then(|schema| schema.default.clone())
                .unwrap_or_default(),
            lists_objects: matches!(items, Some(MetaSchemaRef::Reference(_))),
        }
    };
    kept.map(field).collect()
}
