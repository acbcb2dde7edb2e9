//! Records that a statement takes as one list, see [`super::Dialect::table`].

/// A type that a column of a list can have.
pub trait ListColumn {
    /// The column's type in `JSON_TABLE`.
    const SQL_TYPE: &'static str;
}

impl ListColumn for i64 {
    const SQL_TYPE: &'static str = "BIGINT";
}

impl ListColumn for u16 {
    const SQL_TYPE: &'static str = "INTEGER";
}

impl ListColumn for bool {
    const SQL_TYPE: &'static str = "BIGINT";
}

impl ListColumn for &'static str {
    const SQL_TYPE: &'static str = "VARCHAR(16)";
}

impl ListColumn for String {
    const SQL_TYPE: &'static str = "MEDIUMTEXT CHARACTER SET utf8mb4";
}

/// Record types for lists: each struct is serialized as an array of its fields, and `COLUMNS` has their names and types
/// in the same order.
macro_rules! records {
    ($($(#[$attribute:meta])* $visibility:vis struct $name:ident {
        $($(#[$field_attribute:meta])* $field:ident: $type:ty),+ $(,)?
    })+) => {$(
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        $visibility struct $name {
            $($(#[$field_attribute])* pub $field: $type,)+
        }

        impl $name {
            /// Names and SQL types of the columns.
            pub const COLUMNS: &'static [(&'static str, &'static str)] =
                &[$((stringify!($field), <$type as $crate::db::list::ListColumn>::SQL_TYPE)),+];
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeTuple;
                let mut row = serializer.serialize_tuple(Self::COLUMNS.len())?;
                $(row.serialize_element(&self.$field)?;)+
                row.end()
            }
        }
    )+};
}

pub(crate) use records;
