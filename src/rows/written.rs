//! Things that write themselves into a [`JsonText`], field by field. Serde asks for each key anew
//! whether it has something to escape; here a key is a text that the compiler has put together.

use entity::values::{CircleStatus, MemberRole};
use sea_orm::DbErr;

use super::{JsonText, Stored};

pub(crate) trait Written {
    fn write(&self, json: &mut JsonText) -> Result<(), DbErr>;
}

/// `written!(Warning { code, detail, agent_id });`: an object of all fields of this struct, in this
/// order.
macro_rules! written {
    ($name:ident $(<$life:lifetime>)? { $($field:ident),+ $(,)? }) => {
        impl $crate::rows::Written for $name $(<$life>)? {
            fn write(
                &self,
                json: &mut $crate::rows::JsonText,
            ) -> Result<(), ::sea_orm::DbErr> {
                let Self { $($field),+ } = self;
                let start = json.len();
                $(
                    json.push(concat!(",\"", stringify!($field), "\":"));
                    $crate::rows::Written::write($field, json)?;
                )+
                json.open(start);
                json.push("}");
                Ok(())
            }
        }
    };
}

/// What has no fields, or does not come often.
macro_rules! written_by_serde {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::rows::Written for $type {
            fn write(
                &self,
                json: &mut $crate::rows::JsonText,
            ) -> Result<(), ::sea_orm::DbErr> {
                json.value(self)
            }
        }
    )+};
}

pub(crate) use {written, written_by_serde};

written_by_serde!(CircleStatus, MemberRole, f64);

impl Written for i64 {
    fn write(&self, json: &mut JsonText) -> Result<(), DbErr> {
        json.integer(*self);
        Ok(())
    }
}

impl Written for u32 {
    fn write(&self, json: &mut JsonText) -> Result<(), DbErr> {
        i64::from(*self).write(json)
    }
}

impl Written for bool {
    fn write(&self, json: &mut JsonText) -> Result<(), DbErr> {
        json.flag(*self);
        Ok(())
    }
}

impl Written for &str {
    fn write(&self, json: &mut JsonText) -> Result<(), DbErr> {
        json.text(self)
    }
}

impl Written for String {
    fn write(&self, json: &mut JsonText) -> Result<(), DbErr> {
        self.as_str().write(json)
    }
}

impl Written for Stored<'_> {
    fn write(&self, json: &mut JsonText) -> Result<(), DbErr> {
        json.push_bytes(self.0);
        Ok(())
    }
}

impl<T: Written> Written for Option<T> {
    fn write(&self, json: &mut JsonText) -> Result<(), DbErr> {
        if let Some(value) = self {
            return value.write(json);
        }
        json.push("null");
        Ok(())
    }
}

impl<T: Written> Written for Vec<T> {
    fn write(&self, json: &mut JsonText) -> Result<(), DbErr> {
        json.list(self, |json, thing| thing.write(json))
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    #[derive(Serialize)]
    struct Inner {
        on: bool,
    }

    #[derive(Serialize)]
    struct Thing<'r> {
        id: i64,
        name: &'r str,
        maybe: Option<u32>,
        none: Option<String>,
        share: f64,
        role: MemberRole,
        inners: Vec<Inner>,
        nothing: Vec<i64>,
    }

    written!(Inner { on });
    written!(Thing<'_> { id, name, maybe, none, share, role, inners, nothing });

    #[test]
    fn a_thing_is_written_as_serde_writes_it() {
        let thing = Thing {
            id: -1,
            name: "a \"b\"\n",
            maybe: Some(7),
            none: None,
            share: 0.5,
            role: MemberRole::Lead,
            inners: vec![Inner { on: true }, Inner { on: false }],
            nothing: vec![],
        };
        let mut json = JsonText::with_capacity(0);
        thing.write(&mut json).expect("written");
        let expected = serde_json::to_vec(&thing).expect("JSON");
        assert_eq!(json.into_bytes(), expected);
    }
}
